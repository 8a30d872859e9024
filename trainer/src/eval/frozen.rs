//! The frozen encoder of a run spec as an [`Encoder`].

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::NetsError;
use glass_nets::image::ImageProcessor;
use glass_schemas::spec::trainer::EncoderSpec;
use image::RgbImage;
use rayon::prelude::*;

use super::model::Encoder;
use crate::encoders::{FrozenNetwork, TrainedEncoder};
use crate::error::Result;

/// What an encoder makes of pictures. Pictures come cropped to size; only the normalisation is the checkpoint's.
pub struct FrozenEncoder {
    network: FrozenNetwork,
    rest: Option<TrainedEncoder>,
    normalise: ImageProcessor,
    device: Device,
}

impl FrozenEncoder {
    /// Loads what the spec names.
    ///
    /// # Errors
    /// Where a file is missing or damaged, or holds another network.
    pub fn load(spec: &EncoderSpec, device: &Device) -> Result<Self> {
        let network = FrozenNetwork::load(spec, device)?;
        Ok(Self {
            normalise: network.processor(spec)?.fitted(),
            // Only what does not depend on training is asked of it, and so not on a seed.
            rest: TrainedEncoder::new(spec, 0, device)?,
            device: device.clone(),
            network,
        })
    }

    /// Width of a token.
    pub fn dim(&self) -> usize {
        self.network.token_width()
    }
}

impl Encoder for FrozenEncoder {
    fn features(&self, pictures: &[RgbImage]) -> Result<Tensor<3>, NetsError> {
        let side = pictures.first().map_or(0, RgbImage::width) as usize;
        let values: Vec<Vec<f32>> =
            pictures.par_iter().map(|picture| self.normalise.values(picture)).collect::<Result<_, _>>()?;
        let pixels = TensorData::new(values.concat(), [pictures.len(), 3, side, side]);
        self.network.forward(Tensor::from_data(pixels, &self.device))
    }

    fn untrained(&self, features: Tensor<3>) -> Tensor<3> {
        match &self.rest {
            Some(rest) => rest.untrained(features),
            None => features,
        }
    }

    fn patch(&self) -> usize {
        self.network.patch()
    }
}
