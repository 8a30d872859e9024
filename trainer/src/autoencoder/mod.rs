//! Training of the vector-quantised autoencoder that a latent diffusion decoder works on (SlotDiffusion,
//! `vqvae/`): reconstruction, codebook and commitment, and a perceptual term where its network is given.

mod perceptual;
mod saved;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use glass_nets::perceptual::Perceptual;
use glass_nets::vqvae::{VqVae, VqVaeConfig};
use glass_schemas::spec::trainer::{OptimizerName, OptimizerSpec};

use crate::error::{Result, TrainerError};
use crate::guidance::host;
use crate::layers::drawn;
use crate::losses::mean_square;
use crate::optim::GroupOptimizer;
use crate::parts::with_ids_by_path;

pub use perceptual::distance;

/// The scope of initial weights and parameter ids.
const SCOPE: &str = "autoencoder";
/// The share of the steps over which the learning rate rises.
const WARM_UP: f64 = 0.05;
/// The share of the highest rate that it falls to.
const FLOOR: f64 = 0.01;

/// An autoencoder and where its training stands.
pub struct Training {
    /// The network.
    pub network: VqVae,
    /// Steps done.
    pub step: u64,
    optimizer: GroupOptimizer,
    perceptual: Option<Perceptual>,
}

/// The losses of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Mean absolute error where there is a perceptual term, mean squared error where there is none.
    pub reconstruction: f32,
    /// Codebook and commitment, weighted.
    pub quantisation: f32,
    /// LPIPS.
    pub perceptual: Option<f32>,
    /// How many of the codes the batch used.
    pub codes: usize,
}

impl Losses {
    /// The sum that was minimised.
    pub fn total(&self) -> f32 {
        self.reconstruction + self.quantisation + self.perceptual.unwrap_or(0.0)
    }
}

impl Training {
    /// Before the first step; `device` with autodiff.
    ///
    /// # Errors
    /// Where the configuration cannot be made a network.
    pub fn new(config: &VqVaeConfig, perceptual: Option<Perceptual>, seed: u64, device: &Device) -> Result<Self> {
        let weights = drawn(seed, SCOPE, VqVae::start);
        let network = VqVae::from_scope(&weights.root(device), config)?;
        Ok(Self {
            network: with_ids_by_path(network, SCOPE).set_require_grad(true),
            step: 0,
            optimizer: GroupOptimizer::new(&optimizer()),
            perceptual,
        })
    }

    /// One step with pictures `[batch, 3, side, side]` in [−1, 1] at a learning rate.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`]; pictures that the perceptual network cannot take.
    pub fn step(&mut self, pictures: Tensor<4>, rate: f64) -> Result<Losses> {
        let quantized = self.network.quantize(self.network.encode(pictures.clone()));
        let painted = self.network.decode_quantized(quantized.latents);
        let perceptual = match &self.perceptual {
            Some(network) => Some(distance(network, painted.clone(), pictures.clone())?),
            None => None,
        };
        let reconstruction = match perceptual.is_some() {
            true => (painted - pictures).abs().mean(),
            false => mean_square(painted, pictures),
        };
        let mut codes = quantized.codes;
        codes.sort_unstable();
        codes.dedup();
        let losses = Losses {
            reconstruction: scalar(&reconstruction),
            quantisation: scalar(&quantized.loss),
            perceptual: perceptual.as_ref().map(scalar),
            codes: codes.len(),
        };
        if !losses.total().is_finite() {
            return Err(TrainerError::Diverged { step: self.step, value: losses.total() });
        }
        let total = reconstruction + quantized.loss;
        let total = match perceptual {
            Some(term) => total + term,
            None => total,
        };
        let mut graph = total.backward();
        let gradients = GradientsParams::from_module(&mut graph, &self.network);
        self.network = self.optimizer.step(rate, self.network.clone(), gradients);
        self.step += 1;
        Ok(losses)
    }
}

/// Adam without decay or clipping (SlotDiffusion, `vqvae_coco_params`).
fn optimizer() -> OptimizerSpec {
    OptimizerSpec { name: OptimizerName::Adam, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::default() }
}

/// The learning rate of a step, from 0: a straight rise, then half a cosine down to a hundredth.
pub fn learning_rate(highest: f64, step: u64, steps: u64) -> f64 {
    let (step, steps) = (step as f64, steps.max(1) as f64);
    let warm = (WARM_UP * steps).max(1.0);
    if step < warm {
        return highest * (step + 1.0) / warm;
    }
    let done = (step - warm) / (steps - warm).max(1.0);
    let cosine = 0.5 + 0.5 * (std::f64::consts::PI * done).cos();
    highest * (FLOOR + (1.0 - FLOOR) * cosine)
}

fn scalar(loss: &Tensor<1>) -> f32 {
    host(loss.clone()).first().copied().unwrap_or(f32::NAN)
}
