//! Clean latents of the image decoder.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::image::{Filter, resize};
use glass_nets::vae::AutoencoderKl;
use glass_nets::vqvae::VqVae;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{AutoencoderKind, DiffusionDecoderSpec, LatentDiffusionSpec};
use image::RgbImage;

use crate::error::{Result, TrainerError};

/// A frozen autoencoder.
#[derive(Debug)]
enum Autoencoder {
    /// Latents are a sample of a posterior.
    Kl(Box<AutoencoderKl>),
    /// Latents are what a codebook would be looked up with.
    Vq(Box<VqVae>),
}

/// The frozen autoencoder, for latents that are encoded anew at every visit.
#[derive(Debug)]
pub struct LatentEncoder {
    autoencoder: Autoencoder,
    side: u32,
    device: Device,
}

impl LatentEncoder {
    /// Loads the autoencoder of a pretrained diffusion decoder's checkpoint.
    ///
    /// # Errors
    /// [`TrainerError::Nets`]; [`TrainerError::Spec`] where the picture is no whole number of latents.
    pub fn load(spec: &DiffusionDecoderSpec, device: &Device) -> Result<Self> {
        let folder = spec.weights.join("vae");
        let autoencoder = Autoencoder::load(AutoencoderKind::Kl, &folder, device)?;
        Self::new(autoencoder, spec.image_size, "trainer.diffusion.image_size", device)
    }

    /// Loads the autoencoder of a diffusion decoder that is trained from nothing.
    ///
    /// # Errors
    /// As [`LatentEncoder::load`].
    pub fn of_scratch(spec: &LatentDiffusionSpec, device: &Device) -> Result<Self> {
        let autoencoder = Autoencoder::load(spec.autoencoder, &spec.autoencoder_weights, device)?;
        let field = "trainer.latent_diffusion.image_size";
        Self::new(autoencoder, spec.image_size, field, device)
    }

    fn new(
        autoencoder: Autoencoder,
        side: u32,
        field: &'static str,
        device: &Device,
    ) -> Result<Self> {
        let downscale = autoencoder.downscale();
        if side == 0 || !(side as usize).is_multiple_of(downscale) {
            return Err(TrainerError::Spec {
                field,
                message: format!("{side} is no multiple of {downscale}"),
            });
        }
        Ok(Self {
            autoencoder,
            side,
            device: device.clone(),
        })
    }

    /// Side of the pictures that are encoded; others are resized to it.
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Each picture's scaled latents, `[pictures, channels, height, width]`, with noise from one stream a
    /// picture where they are a sample.
    ///
    /// # Errors
    /// Where a picture cannot be resized.
    pub fn encode(&self, pictures: &[RgbImage], noise: &[Stream]) -> Result<Tensor<4>> {
        let side = self.side as usize;
        let mut planes = Vec::with_capacity(pictures.len() * 3 * side * side);
        for picture in pictures {
            let picture = resize(picture, self.side, self.side, Filter::Bilinear)?;
            for channel in 0..3 {
                let values = picture.pixels().map(|pixel| f32::from(pixel.0[channel]));
                planes.extend(values.map(|value| value / 127.5 - 1.0));
            }
        }
        let shape = [pictures.len(), 3, side, side];
        let planes = Tensor::from_data(TensorData::new(planes, shape), &self.device);
        Ok(self.autoencoder.encode(planes, noise))
    }

    /// The stream of a visit's posterior noise.
    pub fn stream(seed: u64, visit: &super::Visit) -> Stream {
        super::visit_stream(seed, Purpose::Posterior, visit)
    }
}

impl Autoencoder {
    fn load(kind: AutoencoderKind, folder: &Path, device: &Device) -> Result<Self> {
        Ok(match kind {
            AutoencoderKind::Kl => Self::Kl(Box::new(AutoencoderKl::load(folder, device)?)),
            AutoencoderKind::Vq => Self::Vq(Box::new(VqVae::load(folder, device)?)),
        })
    }

    fn downscale(&self) -> usize {
        match self {
            Self::Kl(network) => network.downscale(),
            Self::Vq(network) => network.downscale(),
        }
    }

    fn encode(&self, planes: Tensor<4>, noise: &[Stream]) -> Tensor<4> {
        match self {
            Self::Vq(network) => network.encode(planes) * network.scaling_factor(),
            Self::Kl(network) => {
                let posterior = network.encode(planes);
                let (shape, device) = (posterior.mean.dims(), posterior.mean.device());
                let size = shape[1..].iter().product();
                let noise: Vec<f32> = noise
                    .iter()
                    .flat_map(|stream| stream.normal(size))
                    .collect();
                let noise = Tensor::from_data(TensorData::new(noise, shape), &device);
                posterior.sample(noise) * network.scaling_factor()
            }
        }
    }
}
