//! DINOv2's patch tokens after its last layer norm (`x_norm_patchtokens`).

use burn::tensor::{Device, Tensor};
use glass_nets::dinov2::Dinov2Model;
use glass_nets::image::ImageProcessor;
use glass_schemas::spec::trainer::EncoderSpec;
use image::RgbImage;

use super::Encoder;
use crate::error::{Result, TrainerError};

/// A DINOv2 with its preprocessing.
#[derive(Debug)]
pub struct Dinov2Encoder {
    model: Dinov2Model,
    processor: ImageProcessor,
    tokens: usize,
    device: Device,
}

impl Dinov2Encoder {
    /// Loads the checkpoint the spec names.
    ///
    /// # Errors
    /// [`TrainerError::Nets`]; [`TrainerError::Spec`] where the picture is no whole number of patches.
    pub fn load(spec: &EncoderSpec, device: &Device) -> Result<Self> {
        let model = Dinov2Model::load(&spec.weights, device)?;
        let side = spec.image_size as usize;
        if side == 0 || side % model.patch_size() != 0 {
            return Err(TrainerError::Spec {
                field: "trainer.encoder.image_size",
                message: format!(
                    "{side} is no multiple of the patch size {}",
                    model.patch_size()
                ),
            });
        }
        Ok(Self {
            tokens: (side / model.patch_size()).pow(2),
            processor: ImageProcessor::load(&spec.weights)?.with_size(spec.image_size),
            device: device.clone(),
            model,
        })
    }
}

impl Encoder for Dinov2Encoder {
    fn encode(&self, pictures: &[RgbImage]) -> Result<Tensor<3>> {
        let pixels = self.processor.batch(pictures, &self.device)?;
        Ok(self.model.patch_tokens(pixels)?)
    }

    fn feature_shape(&self) -> [usize; 2] {
        [self.tokens, self.model.dim()]
    }
}
