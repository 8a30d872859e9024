//! Clean latents of the image decoder.

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::image::{Filter, resize};
use glass_nets::vae::AutoencoderKl;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::DiffusionDecoderSpec;
use image::RgbImage;

use crate::error::{Result, TrainerError};

/// The frozen autoencoder, for latents that are encoded anew at every visit.
#[derive(Debug)]
pub struct LatentEncoder {
    vae: AutoencoderKl,
    side: u32,
    device: Device,
}

impl LatentEncoder {
    /// Loads the autoencoder of the spec's checkpoint.
    ///
    /// # Errors
    /// [`TrainerError::Nets`]; [`TrainerError::Spec`] where the picture is no whole number of latents.
    pub fn load(spec: &DiffusionDecoderSpec, device: &Device) -> Result<Self> {
        let vae = AutoencoderKl::load(spec.weights.join("vae"), device)?;
        if spec.image_size == 0 || spec.image_size as usize % vae.downscale() != 0 {
            return Err(TrainerError::Spec {
                field: "trainer.diffusion.image_size",
                message: format!("{} is no multiple of {}", spec.image_size, vae.downscale()),
            });
        }
        Ok(Self {
            vae,
            side: spec.image_size,
            device: device.clone(),
        })
    }

    /// Side of the pictures that are encoded; others are resized to it.
    pub fn side(&self) -> u32 {
        self.side
    }

    /// A scaled sample of each picture's posterior, `[pictures, channels, height, width]`, with
    /// noise from one stream a picture.
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
        let posterior = self.vae.encode(planes);
        let shape = posterior.mean.dims();
        let size = shape[1..].iter().product();
        let noise: Vec<f32> = noise
            .iter()
            .flat_map(|stream| stream.normal(size))
            .collect();
        let noise = Tensor::from_data(TensorData::new(noise, shape), &self.device);
        Ok(posterior.sample(noise) * self.vae.scaling_factor())
    }

    /// The stream of a visit's posterior noise.
    pub fn stream(seed: u64, visit: &super::Visit) -> Stream {
        super::visit_stream(seed, Purpose::Posterior, visit)
    }
}
