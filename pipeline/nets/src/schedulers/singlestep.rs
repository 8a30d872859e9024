//! DPM-Solver++ (3S) with lower orders at the end, "DPM-Solver-fast" (Lu et al., DPM-Solver++; the sampler
//! of SlotDiffusion, `method="singlestep", order=3`).
//!
//! A step of order p calls the network p times, at times between its ends that are even in λ. Times are
//! fractions of a timestep: ln α is taken to be linear between two timesteps.

use burn::tensor::Tensor;

use super::noise::{Level, NoiseSchedule};

/// The sampler.
#[derive(Debug, Clone)]
pub(super) struct Singlestep {
    noise: NoiseSchedule,
    calls: Vec<Call>,
    /// What the current step began with: the sample and the clean sample that it told.
    start: Option<(Tensor<4>, Tensor<4>)>,
}

/// One call of the network within a step.
#[derive(Debug, Clone)]
struct Call {
    /// Where its step begins.
    from: Level,
    /// Where the call is made.
    at: Level,
    /// Where what it leads to stands.
    to: Level,
    /// The timestep of the call.
    timestep: f64,
    correction: Correction,
}

/// What is added to a first-order step, as a multiple of the difference to the step's first clean sample.
#[derive(Debug, Clone, Copy)]
enum Correction {
    /// Nothing: the first call of a step.
    None,
    /// Second order, its difference taken half way: −φ₁.
    Half,
    /// Third order: (φ₁/g + 1) · this.
    Third(f64),
}

impl Singlestep {
    /// For so many calls in all.
    pub(super) fn new(noise: &NoiseSchedule, steps: usize) -> Self {
        let last = (noise.alphas_cumprod().len() - 1) as f64;
        // Even in time, which is one more than the timestep.
        let place = |call: usize| last - call as f64 * last / steps as f64;
        let mut calls = Vec::with_capacity(steps);
        let mut done = 0;
        for order in orders(steps) {
            calls.extend(step(noise, order, place(done), place(done + order)));
            done += order;
        }
        Self { noise: noise.clone(), calls, start: None }
    }

    /// The timestep of every call.
    pub(super) fn timesteps(&self) -> Vec<f32> {
        self.calls.iter().map(|call| call.timestep as f32).collect()
    }

    pub(super) fn step(&mut self, output: Tensor<4>, position: usize, sample: Tensor<4>) -> Tensor<4> {
        let Some(call) = self.calls.get(position) else { return sample };
        let (clean, _) = self.noise.split(output, sample.clone(), call.at.alpha.powi(2));
        let (first_sample, first_clean) = match (call.correction, self.start.take()) {
            (Correction::None, _) | (_, None) => (sample, clean.clone()),
            (_, Some(start)) => start,
        };
        self.start = Some((first_sample.clone(), first_clean.clone()));
        let (from, to) = (&call.from, &call.to);
        let gap = to.lambda - from.lambda;
        let phi = (-gap).exp_m1();
        let moved = first_sample * (to.sigma / from.sigma) - first_clean.clone() * (to.alpha * phi);
        let weight = match call.correction {
            Correction::None => return moved,
            Correction::Half => -phi,
            Correction::Third(share) => share * (phi / gap + 1.0),
        };
        moved + (clean - first_clean) * (to.alpha * weight)
    }
}

/// The orders of the steps: third order as long as calls are left for it.
fn orders(calls: usize) -> Vec<usize> {
    let thirds = (calls / 3).saturating_sub(usize::from(calls.is_multiple_of(3)));
    let mut orders = vec![3; thirds];
    orders.extend(match calls % 3 {
        0 => &[2, 1][..],
        1 => &[1],
        _ => &[2],
    });
    orders
}

/// The calls of a step between two timesteps.
fn step(noise: &NoiseSchedule, order: usize, from: f64, to: f64) -> Vec<Call> {
    let (start, end) = (noise.level(from), noise.level(to));
    let between = |share: f64| noise.timestep_at(start.lambda + share * (end.lambda - start.lambda));
    let shares: &[f64] = match order {
        1 => &[],
        2 => &[0.5],
        _ => &[1.0 / 3.0, 2.0 / 3.0],
    };
    let times: Vec<f64> = std::iter::once(from).chain(shares.iter().map(|share| between(*share))).collect();
    let correction = |call: usize| match (call, order) {
        (0, _) => Correction::None,
        (_, 2) => Correction::Half,
        // r₂ / r₁ and 1 / r₂ with r₁ = ⅓ and r₂ = ⅔.
        (1, _) => Correction::Third(2.0),
        _ => Correction::Third(1.5),
    };
    (0..order)
        .map(|call| Call {
            from: start,
            at: noise.level(times[call]),
            to: times.get(call + 1).map_or(end, |time| noise.level(*time)),
            timestep: times[call],
            correction: correction(call),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::orders;

    #[test]
    fn all_calls_are_used() {
        assert_eq!(orders(20), [3, 3, 3, 3, 3, 3, 2]);
        assert_eq!(orders(6), [3, 2, 1]);
        assert_eq!(orders(7), [3, 3, 1]);
        assert_eq!(orders(3), [2, 1]);
        assert_eq!([orders(1), orders(2)], [vec![1], vec![2]]);
        for calls in 1..50 {
            assert_eq!(orders(calls).iter().sum::<usize>(), calls);
        }
    }
}
