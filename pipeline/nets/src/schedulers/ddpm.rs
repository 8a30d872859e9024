//! Upstream `DDPMScheduler` (DDPM, formulas 6, 7 and 15).

use burn::tensor::Tensor;

use super::config::{SchedulerConfig, Variance};
use super::noise::NoiseSchedule;

#[derive(Debug, Clone)]
pub(super) struct Ddpm {
    noise: NoiseSchedule,
    /// The timesteps of the run, then −1 for the clean sample.
    ends: Vec<i64>,
    clip: Option<f64>,
    variance: Variance,
}

impl Ddpm {
    pub(super) fn new(config: &SchedulerConfig, noise: &NoiseSchedule, timesteps: &[f32]) -> Self {
        let ends = timesteps.iter().map(|t| *t as i64).chain([-1]).collect();
        Self { noise: noise.clone(), ends, clip: config.clip_sample, variance: config.variance }
    }

    /// ā before and after the step at `position`.
    fn alphas(&self, position: usize) -> (f64, f64) {
        let alpha = |end: usize| self.noise.alpha(self.ends[end], 1.0);
        (alpha(position), alpha(position + 1))
    }

    /// The standard deviation of the noise that is added to the mean.
    pub(super) fn sigma(&self, position: usize) -> f64 {
        if self.ends[position] == 0 {
            return 0.0;
        }
        let (alpha, previous) = self.alphas(position);
        let beta = 1.0 - alpha / previous;
        match self.variance {
            Variance::FixedSmall => (beta * (1.0 - previous) / (1.0 - alpha)).max(1e-20).sqrt(),
            Variance::FixedLarge => beta.sqrt(),
        }
    }

    /// The mean of the next sample.
    pub(super) fn step(&self, output: Tensor<4>, position: usize, sample: Tensor<4>) -> Tensor<4> {
        let (alpha, previous) = self.alphas(position);
        let beta = 1.0 - alpha / previous;
        let (clean, _) = self.noise.split(output, sample.clone(), alpha);
        let clean = match self.clip {
            Some(limit) => clean.clamp(-limit, limit),
            None => clean,
        };
        let of_clean = previous.sqrt() * beta / (1.0 - alpha);
        let of_sample = (1.0 - beta).sqrt() * (1.0 - previous) / (1.0 - alpha);
        clean * of_clean + sample * of_sample
    }
}
