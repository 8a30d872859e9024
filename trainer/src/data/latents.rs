//! Clean latents of the image decoder.

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::image::{Filter, resize};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{AutoencoderKind, DiffusionDecoderSpec, LatentDiffusionSpec};
use image::RgbImage;

use crate::decoders::LatentSpace;
use crate::error::{Result, TrainerError};

/// The frozen autoencoder, for latents that are encoded anew at every visit.
#[derive(Debug)]
pub struct LatentEncoder {
    autoencoder: LatentSpace,
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
        let autoencoder = LatentSpace::load(AutoencoderKind::Kl, &folder, device)?;
        Self::new(autoencoder, spec.image_size, "trainer.diffusion.image_size", device)
    }

    /// Loads the autoencoder of a diffusion decoder that is trained from nothing.
    ///
    /// # Errors
    /// As [`LatentEncoder::load`].
    pub fn of_scratch(spec: &LatentDiffusionSpec, device: &Device) -> Result<Self> {
        let autoencoder = LatentSpace::load(spec.autoencoder, &spec.autoencoder_weights, device)?;
        let field = "trainer.latent_diffusion.image_size";
        Self::new(autoencoder, spec.image_size, field, device)
    }

    fn new(autoencoder: LatentSpace, side: u32, field: &'static str, device: &Device) -> Result<Self> {
        let downscale = autoencoder.downscale();
        if side == 0 || !(side as usize).is_multiple_of(downscale) {
            return Err(TrainerError::Spec { field, message: format!("{side} is no multiple of {downscale}") });
        }
        Ok(Self { autoencoder, side, device: device.clone() })
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
