//! Upstream `PNDMScheduler` with `skip_prk_steps`: PLMS, a linear multi-step method of fourth order.

use burn::tensor::Tensor;

use super::config::{Prediction, SchedulerConfig};
use super::noise::NoiseSchedule;

/// How many outputs the method looks back over.
const ORDER: usize = 4;

#[derive(Debug, Clone)]
pub(super) struct Pndm {
    noise: NoiseSchedule,
    stride: i64,
    final_alpha: f64,
    calls: usize,
    /// The outputs before, newest last.
    outputs: Vec<Tensor<4>>,
    /// The sample before the first step, which the second call takes again.
    start: Option<Tensor<4>>,
}

impl Pndm {
    pub(super) fn new(config: &SchedulerConfig, noise: &NoiseSchedule, stride: i64) -> Self {
        let final_alpha = if config.set_alpha_to_one { 1.0 } else { noise.alpha(0, 1.0) };
        Self { noise: noise.clone(), stride, final_alpha, calls: 0, outputs: Vec::new(), start: None }
    }

    pub(super) fn step(&mut self, output: Tensor<4>, timestep: f32, sample: Tensor<4>) -> Tensor<4> {
        let call = self.calls;
        self.calls += 1;
        let timestep = timestep as i64;
        if call == 1 {
            // The corrector of the first step: same step again, with the mean of both outputs.
            let mean = match self.outputs.last() {
                Some(first) => (output + first.clone()) / 2.0,
                None => output,
            };
            let start = self.start.take().unwrap_or(sample);
            return self.transfer(start, timestep + self.stride, timestep, mean);
        }
        if call == 0 {
            self.start = Some(sample.clone());
        }
        let combined = self.combined(output.clone());
        if self.outputs.len() == ORDER - 1 {
            self.outputs.remove(0);
        }
        self.outputs.push(output);
        self.transfer(sample, timestep, timestep - self.stride, combined)
    }

    /// The Adams–Bashforth combination of the newest output and the ones before it.
    fn combined(&self, newest: Tensor<4>) -> Tensor<4> {
        let (own, before): (f64, &[f64]) = match self.outputs.len() {
            0 => (1.0, &[]),
            1 => (3.0 / 2.0, &[-1.0 / 2.0]),
            2 => (23.0 / 12.0, &[5.0 / 12.0, -16.0 / 12.0]),
            _ => (55.0 / 24.0, &[-9.0 / 24.0, 37.0 / 24.0, -59.0 / 24.0]),
        };
        let terms = self.outputs.iter().zip(before).map(|(output, weight)| output.clone() * *weight);
        terms.fold(newest * own, |sum, term| sum + term)
    }

    /// Formula 9 of the PNDM paper.
    fn transfer(&self, sample: Tensor<4>, from: i64, to: i64, output: Tensor<4>) -> Tensor<4> {
        let alpha = self.noise.alpha(from, self.final_alpha);
        let previous = self.noise.alpha(to, self.final_alpha);
        let epsilon = match self.noise.prediction() {
            Prediction::Epsilon => output,
            Prediction::VPrediction => output * alpha.sqrt() + sample.clone() * (1.0 - alpha).sqrt(),
        };
        let divisor = alpha * (1.0 - previous).sqrt() + (alpha * (1.0 - alpha) * previous).sqrt();
        sample * (previous / alpha).sqrt() - epsilon * ((previous - alpha) / divisor)
    }
}
