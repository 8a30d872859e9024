//! The frozen autoencoder between pictures and the latents that a diffusion decoder works on.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::vae::AutoencoderKl;
use glass_nets::vqvae::VqVae;
use glass_schemas::seeds::Stream;
use glass_schemas::spec::trainer::AutoencoderKind;

use crate::error::Result;

/// One of the two kinds.
#[derive(Debug, Clone)]
pub enum LatentSpace {
    /// Latents are a sample of a posterior.
    Kl(Box<AutoencoderKl>),
    /// Latents are what a codebook would be looked up with.
    Vq(Box<VqVae>),
}

impl LatentSpace {
    /// Loads a checkpoint in the layout of diffusers.
    ///
    /// # Errors
    /// Where a file is missing or damaged.
    pub fn load(kind: AutoencoderKind, folder: &Path, device: &Device) -> Result<Self> {
        Ok(match kind {
            AutoencoderKind::Kl => Self::Kl(Box::new(AutoencoderKl::load(folder, device)?)),
            AutoencoderKind::Vq => Self::Vq(Box::new(VqVae::load(folder, device)?)),
        })
    }

    /// Pixels of a picture's side for each position.
    pub fn downscale(&self) -> usize {
        match self {
            Self::Kl(network) => network.downscale(),
            Self::Vq(network) => network.downscale(),
        }
    }

    /// Channels of a latent.
    pub fn channels(&self) -> usize {
        match self {
            Self::Kl(network) => network.latent_channels(),
            Self::Vq(network) => network.latent_channels(),
        }
    }

    /// Scaled latents `[batch, channels, height, width]` of pictures `[batch, 3, …]` in [−1, 1], with noise
    /// from one stream a picture where they are a sample.
    pub fn encode(&self, pictures: Tensor<4>, noise: &[Stream]) -> Tensor<4> {
        match self {
            Self::Vq(network) => network.encode(pictures) * network.scaling_factor(),
            Self::Kl(network) => {
                let posterior = network.encode(pictures);
                let (shape, device) = (posterior.mean.dims(), posterior.mean.device());
                let size = shape[1..].iter().product();
                let noise: Vec<f32> = noise.iter().flat_map(|stream| stream.normal(size)).collect();
                let noise = Tensor::from_data(TensorData::new(noise, shape), &device);
                posterior.sample(noise) * network.scaling_factor()
            }
        }
    }

    /// The pictures of scaled latents, about [−1, 1].
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kl(network) => network.decode(latents / network.scaling_factor()),
            Self::Vq(network) => network.decode(latents / network.scaling_factor()),
        }
    }

    /// The nearest scaled latents that a picture can have, where only some can be: those of a codebook.
    pub fn nearest(&self) -> Option<impl Fn(Tensor<4>) -> Tensor<4>> {
        match self {
            Self::Kl(_) => None,
            Self::Vq(network) => {
                let scale = network.scaling_factor();
                Some(move |latents: Tensor<4>| network.quantize(latents / scale).latents * scale)
            }
        }
    }
}
