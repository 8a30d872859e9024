//! Upstream `EulerDiscreteScheduler` without churn ("Elucidating the Design Space", algorithm 2).

use burn::tensor::Tensor;

use super::config::{FinalSigma, Prediction, SchedulerConfig, TimestepSpacing};
use super::noise::NoiseSchedule;

#[derive(Debug, Clone)]
pub(super) struct Euler {
    prediction: Prediction,
    /// σ of every step and of the end.
    sigmas: Vec<f64>,
    initial: f64,
}

impl Euler {
    pub(super) fn new(config: &SchedulerConfig, noise: &NoiseSchedule, timesteps: &[f32]) -> Self {
        let last = match config.final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::SigmaMin => noise.sigma(0),
        };
        let sigmas: Vec<f64> = timesteps.iter().map(|t| between(noise, f64::from(*t))).chain([last]).collect();
        let first = sigmas[0];
        Self {
            prediction: noise.prediction(),
            sigmas,
            // `leading` does not begin at pure noise: a unit signal is left beside it.
            initial: match config.timestep_spacing {
                TimestepSpacing::Linspace | TimestepSpacing::Trailing => first,
                TimestepSpacing::Leading => (first * first + 1.0).sqrt(),
            },
        }
    }

    pub(super) fn initial_sigma(&self) -> f64 {
        self.initial
    }

    pub(super) fn network_input(&self, position: usize, sample: Tensor<4>) -> Tensor<4> {
        let sigma = self.sigma(position);
        sample / (sigma * sigma + 1.0).sqrt()
    }

    /// x + dx/dσ · Δσ, where dx/dσ = (x − x₀) / σ.
    pub(super) fn step(&self, output: Tensor<4>, position: usize, sample: Tensor<4>) -> Tensor<4> {
        let (sigma, next) = (self.sigma(position), self.sigma(position + 1));
        let slope = match self.prediction {
            Prediction::Epsilon => output,
            // x₀ = x / (σ² + 1) − v σ / √(σ² + 1)
            Prediction::VPrediction => {
                let square = sigma * sigma + 1.0;
                sample.clone() * (sigma / square) + output / square.sqrt()
            }
        };
        sample + slope * (next - sigma)
    }

    fn sigma(&self, position: usize) -> f64 {
        self.sigmas.get(position).copied().unwrap_or(0.0)
    }
}

/// σ of a timestep that may lie between two of the schedule.
fn between(noise: &NoiseSchedule, timestep: f64) -> f64 {
    let below = timestep.floor();
    let sigma = noise.sigma(below as usize);
    match timestep - below {
        0.0 => sigma,
        part => sigma + (noise.sigma(below as usize + 1) - sigma) * part,
    }
}
