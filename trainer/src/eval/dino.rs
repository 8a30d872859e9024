//! The frozen DINOv2 as an [`Encoder`].

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::NetsError;
use glass_nets::dinov2::Dinov2Model;
use glass_nets::image::ImageProcessor;
use image::RgbImage;
use rayon::prelude::*;

use super::model::Encoder;

/// DINOv2's patch tokens. Pictures come cropped to size; only the normalisation is the checkpoint's.
pub struct DinoEncoder {
    model: Dinov2Model,
    normalise: ImageProcessor,
    device: Device,
}

impl DinoEncoder {
    /// Loads a checkpoint's folder.
    ///
    /// # Errors
    /// Where a file is missing or damaged.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, NetsError> {
        Ok(Self {
            model: Dinov2Model::load(folder, device)?,
            normalise: ImageProcessor::load(folder)?.fitted(),
            device: device.clone(),
        })
    }

    /// Width of a token.
    pub fn dim(&self) -> usize {
        self.model.dim()
    }
}

impl Encoder for DinoEncoder {
    fn features(&self, pictures: &[RgbImage]) -> Result<Tensor<3>, NetsError> {
        let side = pictures.first().map_or(0, RgbImage::width) as usize;
        let values: Vec<Vec<f32>> =
            pictures.par_iter().map(|picture| self.normalise.values(picture)).collect::<Result<_, _>>()?;
        let pixels = TensorData::new(values.concat(), [pictures.len(), 3, side, side]);
        self.model.patch_tokens(Tensor::from_data(pixels, &self.device))
    }

    fn patch(&self) -> usize {
        self.model.patch_size()
    }
}
