//! Group normalisation, alone or with SiLU behind it, forward and backward.

use rayon::prelude::*;

use super::simd::{self, dispatch};

/// What follows the normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Silu,
}

/// Sizes of a group normalisation of `[batch, channels, positions]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Groups {
    pub channels: usize,
    pub groups: usize,
    pub positions: usize,
    pub eps: f64,
}

impl Groups {
    fn channels_each(&self) -> usize {
        self.channels / self.groups
    }

    fn size(&self) -> usize {
        self.channels_each() * self.positions
    }

    /// The first channel of the `i`-th group of a batch.
    fn first(&self, i: usize) -> usize {
        i % self.groups * self.channels_each()
    }

    /// Mean and 1 / standard deviation.
    fn statistics(&self, x: &[f32]) -> (f64, f64) {
        let n = x.len() as f64;
        let mean = wide_sum(x) / n;
        // Around the mean: a difference of squares would cancel.
        let variance = wide_square_sum(x, mean as f32) / n;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }
}

// Loops, not iterators over closures: a closure is compiled without the wide instructions of its caller.
#[inline(always)]
fn sum_kernel(x: &[f32]) -> f64 {
    let mut total = 0.0;
    for chunk in x.chunks(1024) {
        total += f64::from(simd::sum(chunk));
    }
    total
}
dispatch!(wide_sum, sum_kernel, (x: &[f32]) -> f64);

#[inline(always)]
fn square_sum_kernel(x: &[f32], mean: f32) -> f64 {
    let mut total = 0.0;
    for chunk in x.chunks(1024) {
        let mut lanes = [0.0_f32; simd::LANES];
        let (parts, rest) = chunk.as_chunks::<{ simd::LANES }>();
        for part in parts {
            for (lane, x) in lanes.iter_mut().zip(part) {
                *lane = (x - mean).mul_add(x - mean, *lane);
            }
        }
        let mut sum = lanes.iter().sum::<f32>();
        for x in rest {
            sum += (x - mean) * (x - mean);
        }
        total += f64::from(sum);
    }
    total
}
dispatch!(wide_square_sum, square_sum_kernel, (x: &[f32], mean: f32) -> f64);

#[inline(always)]
fn scale_kernel(x: &[f32], to: &mut [f32], scale: f32, shift: f32) {
    for (to, x) in to.iter_mut().zip(x) {
        *to = x.mul_add(scale, shift);
    }
}
dispatch!(scale_all, scale_kernel, (x: &[f32], to: &mut [f32], scale: f32, shift: f32));

#[inline(always)]
fn scale_silu_kernel(x: &[f32], to: &mut [f32], scale: f32, shift: f32) {
    for (to, x) in to.iter_mut().zip(x) {
        let z = x.mul_add(scale, shift);
        *to = z * simd::sigmoid(z);
    }
}
dispatch!(scale_silu, scale_silu_kernel, (x: &[f32], to: &mut [f32], scale: f32, shift: f32));

/// `x` `[batch, channels, positions]`, `gamma` and `beta` `[channels]`.
pub(super) fn forward(x: &[f32], gamma: &[f32], beta: &[f32], g: &Groups, then: Then) -> Vec<f32> {
    let mut out = vec![0.0_f32; x.len()];
    let size = g.size();
    out.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().for_each(|(i, (out, x))| {
        let (mean, inverse) = g.statistics(x);
        let planes = out.chunks_mut(g.positions).zip(x.chunks(g.positions));
        for (channel, (out, x)) in (g.first(i)..).zip(planes) {
            let scale = f64::from(gamma[channel]) * inverse;
            let shift = f64::from(beta[channel]) - mean * scale;
            match then {
                Then::Nothing => scale_all(x, out, scale as f32, shift as f32),
                Then::Silu => scale_silu(x, out, scale as f32, shift as f32),
            }
        }
    });
    out
}

/// Gradients of `x`, `gamma` and `beta`.
pub(super) struct Gradients {
    pub x: Vec<f32>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

/// The gradient behind SiLU, into `to`.
#[inline(always)]
fn silu_gradient_kernel(x: &[f32], grad: &[f32], to: &mut [f32], scale: f32, shift: f32) {
    for ((to, x), grad) in to.iter_mut().zip(x).zip(grad) {
        let z = x.mul_add(scale, shift);
        let s = simd::sigmoid(z);
        *to = grad * s * (1.0 - s).mul_add(z, 1.0);
    }
}
dispatch!(silu_gradient, silu_gradient_kernel, (x: &[f32], grad: &[f32], to: &mut [f32], scale: f32, shift: f32));

/// (Σ grad, Σ grad · (x − mean) · inverse).
#[inline(always)]
fn moments_kernel(x: &[f32], grad: &[f32], mean: f32, inverse: f32) -> (f32, f32) {
    (simd::sum(grad), inverse * (simd::dot(grad, x) - mean * simd::sum(grad)))
}
dispatch!(moments, moments_kernel, (x: &[f32], grad: &[f32], mean: f32, inverse: f32) -> (f32, f32));

/// grad · a + x · b + c, in place of the gradient.
#[inline(always)]
fn combine_kernel(x: &[f32], grad: &mut [f32], a: f32, b: f32, c: f32) {
    for (grad, x) in grad.iter_mut().zip(x) {
        *grad = grad.mul_add(a, x.mul_add(b, c));
    }
}
dispatch!(combine, combine_kernel, (x: &[f32], grad: &mut [f32], a: f32, b: f32, c: f32));

/// `grad` is the gradient of what [`forward`] gave.
pub(super) fn backward(x: &[f32], gamma: &[f32], beta: &[f32], grad: &[f32], g: &Groups, then: Then) -> Gradients {
    let size = g.size();
    let mut of_x = vec![0.0_f32; x.len()];
    let chunks = of_x.par_chunks_mut(size).zip(x.par_chunks(size)).zip(grad.par_chunks(size)).enumerate();
    let sums: Vec<Vec<(f32, f32)>> = chunks
        .map(|(i, ((of_x, x), grad))| {
            let (mean, inverse) = g.statistics(x);
            let planes = || (g.first(i)..).zip(x.chunks(g.positions));
            let mut sums = Vec::with_capacity(g.channels_each());
            for (((channel, x), grad), to) in planes().zip(grad.chunks(g.positions)).zip(of_x.chunks_mut(g.positions)) {
                match then {
                    Then::Nothing => to.copy_from_slice(grad),
                    Then::Silu => {
                        let scale = f64::from(gamma[channel]) * inverse;
                        let shift = f64::from(beta[channel]) - mean * scale;
                        silu_gradient(x, grad, to, scale as f32, shift as f32);
                    }
                }
                sums.push(moments(x, to, mean as f32, inverse as f32));
            }
            // dx = inverse · (γ dy − mean(γ dy) − x̂ · mean(γ dy x̂))
            let n = size as f64;
            let weighted = |pick: fn(&(f32, f32)) -> f32| {
                let terms = sums.iter().zip(&gamma[g.first(i)..]);
                terms.map(|(sum, gamma)| f64::from(pick(sum) * gamma)).sum::<f64>() / n
            };
            let (level, slope) = (weighted(|sum| sum.0), weighted(|sum| sum.1));
            let b = -inverse * inverse * slope;
            let c = -inverse * level - mean * b;
            for ((channel, x), to) in planes().zip(of_x.chunks_mut(g.positions)) {
                combine(x, to, (f64::from(gamma[channel]) * inverse) as f32, b as f32, c as f32);
            }
            sums
        })
        .collect();
    let (mut of_gamma, mut of_beta) = (vec![0.0_f32; g.channels], vec![0.0_f32; g.channels]);
    for (i, sums) in sums.iter().enumerate() {
        for (channel, (level, slope)) in (g.first(i)..).zip(sums) {
            of_beta[channel] += level;
            of_gamma[channel] += slope;
        }
    }
    Gradients { x: of_x, gamma: of_gamma, beta: of_beta }
}
