//! Upstream `DDIMScheduler` with η = 0 (DDIM, formula 12).

use burn::tensor::Tensor;

use super::config::SchedulerConfig;
use super::noise::NoiseSchedule;

#[derive(Debug, Clone)]
pub(super) struct Ddim {
    noise: NoiseSchedule,
    stride: i64,
    final_alpha: f64,
    clip: Option<f64>,
}

impl Ddim {
    pub(super) fn new(config: &SchedulerConfig, noise: &NoiseSchedule, stride: i64) -> Self {
        let final_alpha = if config.set_alpha_to_one { 1.0 } else { noise.alpha(0, 1.0) };
        Self { noise: noise.clone(), stride, final_alpha, clip: config.clip_sample }
    }

    pub(super) fn step(&self, output: Tensor<4>, timestep: f32, sample: Tensor<4>) -> Tensor<4> {
        let timestep = timestep as i64;
        let alpha = self.noise.alpha(timestep, self.final_alpha);
        let previous = self.noise.alpha(timestep - self.stride, self.final_alpha);
        let (clean, epsilon) = self.noise.split(output, sample, alpha);
        let clean = match self.clip {
            Some(limit) => clean.clamp(-limit, limit),
            None => clean,
        };
        clean * previous.sqrt() + epsilon * (1.0 - previous).sqrt()
    }
}
