//! The forward process (upstream `DDPMScheduler`: `add_noise`, `get_velocity`).

use burn::tensor::{Tensor, TensorData};

use super::config::{BetaSchedule, Prediction, SchedulerConfig};
use crate::error::{NetsError, Result};

/// Zero terminal SNR would make the last σ infinite: upstream puts 2⁻²⁴ in place of ā = 0.
const LEAST_ALPHA: f64 = 1.0 / (1 << 24) as f64;

/// α, σ and λ = ln α − ln σ of the variance preserving process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub alpha: f64,
    pub sigma: f64,
    pub lambda: f64,
}

impl Level {
    /// At ā.
    fn of(alpha_bar: f64) -> Self {
        let (alpha, sigma) = (alpha_bar.sqrt(), (1.0 - alpha_bar).sqrt());
        Self { alpha, sigma, lambda: alpha.ln() - sigma.ln() }
    }

    /// At σ/α.
    pub(super) fn of_ratio(ratio: f64) -> Self {
        let alpha = 1.0 / (ratio * ratio + 1.0).sqrt();
        let sigma = ratio * alpha;
        Self { alpha, sigma, lambda: alpha.ln() - sigma.ln() }
    }
}

/// ā over the training timesteps, and what follows from it.
#[derive(Debug, Clone)]
pub struct NoiseSchedule {
    alphas_cumprod: Vec<f32>,
    prediction: Prediction,
}

impl NoiseSchedule {
    pub(super) fn new(config: &SchedulerConfig) -> Result<Self> {
        let mut betas = betas(config);
        if config.rescale_betas_zero_snr {
            betas = rescale_zero_terminal_snr(&betas);
        }
        if betas.len() < 2 || betas.iter().any(|beta| !(0.0..=1.0).contains(beta)) {
            return Err(NetsError::input("the noise schedule needs at least two betas between 0 and 1"));
        }
        Ok(Self { alphas_cumprod: cumulative(&betas), prediction: config.prediction })
    }

    /// ā of every training timestep.
    pub fn alphas_cumprod(&self) -> &[f32] {
        &self.alphas_cumprod
    }

    /// What the network predicts.
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// x_t = √ā x₀ + √(1−ā) ε; tensors `[batch, channels, height, width]`, one timestep a sample.
    ///
    /// # Errors
    /// When the number of timesteps is not the batch or one lies outside the schedule.
    pub fn add_noise(&self, clean: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Result<Tensor<4>> {
        let (signal, sigma) = self.coefficients(&clean, timesteps)?;
        Ok(clean * signal + noise * sigma)
    }

    /// v = √ā ε − √(1−ā) x₀; arguments as in [`add_noise`](Self::add_noise).
    ///
    /// # Errors
    /// As [`add_noise`](Self::add_noise).
    pub fn velocity(&self, clean: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Result<Tensor<4>> {
        let (signal, sigma) = self.coefficients(&clean, timesteps)?;
        Ok(noise * signal - clean * sigma)
    }

    /// What the network should have answered: the noise or the velocity, as the checkpoint says.
    ///
    /// # Errors
    /// As [`add_noise`](Self::add_noise).
    pub fn target(&self, clean: Tensor<4>, noise: Tensor<4>, timesteps: &[usize]) -> Result<Tensor<4>> {
        match self.prediction {
            Prediction::Epsilon => Ok(noise),
            Prediction::VPrediction => self.velocity(clean, noise, timesteps),
        }
    }

    /// The clean sample and the noise in a sample at ā = `alpha`, as the network's output tells them.
    pub(super) fn split(&self, output: Tensor<4>, sample: Tensor<4>, alpha: f64) -> (Tensor<4>, Tensor<4>) {
        let (signal, sigma) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        match self.prediction {
            Prediction::Epsilon => ((sample - output.clone() * sigma) / signal, output),
            Prediction::VPrediction => {
                (sample.clone() * signal - output.clone() * sigma, output * signal + sample * sigma)
            }
        }
    }

    /// (√ā, √(1−ā)), each `[batch, 1, 1, 1]`.
    fn coefficients(&self, like: &Tensor<4>, timesteps: &[usize]) -> Result<(Tensor<4>, Tensor<4>)> {
        let batch = like.dims()[0];
        if timesteps.len() != batch {
            return Err(NetsError::input(format!("{} timesteps for a batch of {batch}", timesteps.len())));
        }
        let alphas = timesteps.iter().map(|t| {
            self.alphas_cumprod.get(*t).copied().ok_or_else(|| {
                NetsError::input(format!("timestep {t} is outside the schedule of {}", self.alphas_cumprod.len()))
            })
        });
        let alphas = alphas.collect::<Result<Vec<f32>>>()?;
        let column = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [batch, 1, 1, 1]), &like.device());
        let sigma = alphas.iter().map(|a| (1.0 - a).sqrt()).collect();
        Ok((column(alphas.iter().map(|a| a.sqrt()).collect()), column(sigma)))
    }

    /// σ = √((1−ā)/ā) of a timestep of the schedule.
    pub(super) fn sigma(&self, timestep: usize) -> f64 {
        let alpha = self.alpha(timestep as i64, 1.0).max(LEAST_ALPHA);
        ((1.0 - alpha) / alpha).sqrt()
    }

    /// α, σ and λ at a fraction of a timestep.
    pub(super) fn level(&self, timestep: f64) -> Level {
        Level::of(self.alpha_between(timestep))
    }

    /// ā at a fraction of a timestep: ln ā is linear between two timesteps.
    fn alpha_between(&self, timestep: f64) -> f64 {
        let last = self.alphas_cumprod.len() - 1;
        let below = (timestep.max(0.0) as usize).min(last - 1);
        let share = timestep - below as f64;
        ((1.0 - share) * self.log_alpha(below) + share * self.log_alpha(below + 1)).exp()
    }

    /// The timestep at which λ has a value, the inverse of [`level`](Self::level).
    pub(super) fn timestep_at(&self, lambda: f64) -> f64 {
        // ā = 1 / (1 + e^−2λ)
        let wanted = -(-2.0 * lambda).exp().ln_1p();
        let last = self.alphas_cumprod.len() - 1;
        let after = (0..=last).collect::<Vec<_>>().partition_point(|&t| self.log_alpha(t) > wanted);
        let below = after.clamp(1, last) - 1;
        let (high, low) = (self.log_alpha(below), self.log_alpha(below + 1));
        below as f64 + (high - wanted) / (high - low)
    }

    /// ln ā, finite where ā = 0.
    fn log_alpha(&self, timestep: usize) -> f64 {
        f64::from(self.alphas_cumprod[timestep]).max(LEAST_ALPHA).ln()
    }

    /// A network's output at a timestep with another clean sample: `correct` is given the one that the
    /// output tells of the network's input.
    pub fn corrected(
        &self,
        output: Tensor<4>,
        input: Tensor<4>,
        timestep: f32,
        correct: &dyn Fn(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let alpha = self.alpha_between(f64::from(timestep));
        let (signal, sigma) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let (clean, _) = self.split(output, input.clone(), alpha);
        let clean = correct(clean);
        let noise = (input - clean.clone() * signal) / sigma;
        match self.prediction {
            Prediction::Epsilon => noise,
            Prediction::VPrediction => noise * signal - clean * sigma,
        }
    }

    /// ā of a timestep as upstream indexes it: below zero stands `final_alpha`.
    pub(super) fn alpha(&self, timestep: i64, final_alpha: f64) -> f64 {
        usize::try_from(timestep).ok().and_then(|t| self.alphas_cumprod.get(t)).map_or(final_alpha, |a| f64::from(*a))
    }
}

/// β in f32, rounded where PyTorch rounds: near t = 0 the last bits of β are felt in 1 − ā.
fn betas(config: &SchedulerConfig) -> Vec<f32> {
    let n = config.num_train_timesteps;
    if let Some(betas) = &config.trained_betas {
        return betas.iter().map(|beta| *beta as f32).collect();
    }
    match config.beta_schedule {
        BetaSchedule::Linear => linspace(config.beta_start, config.beta_end, n),
        BetaSchedule::ScaledLinear => {
            linspace(config.beta_start.sqrt(), config.beta_end.sqrt(), n).into_iter().map(|root| root * root).collect()
        }
        BetaSchedule::SquaredCosine => {
            let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            let beta = |i: usize| (1.0 - bar((i + 1) as f64 / n as f64) / bar(i as f64 / n as f64)).min(0.999);
            (0..n).map(|i| beta(i) as f32).collect()
        }
    }
}

/// `torch.linspace` in f32: from both ends to the middle.
fn linspace(start: f64, end: f64, n: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let step = (end - start) / (n.saturating_sub(1).max(1)) as f32;
    (0..n).map(|i| if i < n / 2 { start + step * i as f32 } else { end - step * (n - 1 - i) as f32 }).collect()
}

fn cumulative(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0_f64;
    betas
        .iter()
        .map(|beta| {
            product *= f64::from(1.0 - beta);
            product as f32
        })
        .collect()
}

/// Shifts and scales √ā so that the last one is zero ("Common Diffusion Noise Schedules", algorithm 1).
fn rescale_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = cumulative(betas).into_iter().map(f32::sqrt).collect();
    let (Some(first), Some(last)) = (roots.first().copied(), roots.last().copied()) else {
        return Vec::new();
    };
    let bars: Vec<f32> = roots.iter().map(|root| ((root - last) * (first / (first - last))).powi(2)).collect();
    let ratio = |i: usize| {
        if i == 0 { bars[0] } else { bars[i] / bars[i - 1] }
    };
    (0..bars.len()).map(|i| 1.0 - ratio(i)).collect()
}
