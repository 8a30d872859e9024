//! Upstream `DPMSolverMultistepScheduler`: DPM-Solver++ (2M), midpoint.

use burn::tensor::Tensor;

use super::config::{FinalSigma, Prediction, SchedulerConfig};
use super::noise::{Level, NoiseSchedule};

/// Below this many steps the last one is taken in first order: it is more stable.
const FEW_STEPS: usize = 15;

#[derive(Debug, Clone)]
pub(super) struct DpmSolver {
    prediction: Prediction,
    /// σ = √((1−ā)/ā) of every step and of the end.
    sigmas: Vec<f64>,
    first_order_last: bool,
    /// The x₀ predicted by the call before.
    before: Option<Tensor<4>>,
}

impl DpmSolver {
    pub(super) fn new(config: &SchedulerConfig, noise: &NoiseSchedule, timesteps: &[f32]) -> Self {
        let ratio = |t: usize| noise.sigma(t);
        let last = match config.final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::SigmaMin => ratio(0),
        };
        let few = config.lower_order_final && timesteps.len() < FEW_STEPS;
        Self {
            prediction: noise.prediction(),
            sigmas: timesteps.iter().map(|t| ratio(*t as usize)).chain([last]).collect(),
            first_order_last: few || config.euler_at_final || config.final_sigma == FinalSigma::Zero,
            before: None,
        }
    }

    pub(super) fn step(&mut self, output: Tensor<4>, position: usize, sample: Tensor<4>) -> Tensor<4> {
        let level = |i: usize| Level::of_ratio(self.sigmas.get(i).copied().unwrap_or(0.0));
        let (now, next) = (level(position), level(position + 1));
        let clean = match self.prediction {
            Prediction::Epsilon => (sample.clone() - output * now.sigma) / now.alpha,
            Prediction::VPrediction => sample.clone() * now.alpha - output * now.sigma,
        };
        let last = position + 2 == self.sigmas.len();
        let previous = self.before.replace(clean.clone()).filter(|_| !(last && self.first_order_last));
        let h = next.lambda - now.lambda;
        let rate = next.alpha * ((-h).exp() - 1.0);
        let moved = sample * (next.sigma / now.sigma) - clean.clone() * rate;
        match previous {
            None => moved,
            Some(previous) => {
                let ratio = (now.lambda - level(position - 1).lambda) / h;
                moved - (clean - previous) * (0.5 * rate / ratio)
            }
        }
    }
}
