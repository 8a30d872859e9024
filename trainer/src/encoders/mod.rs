//! From pictures to tokens. An encoder has a frozen part, whose output can be kept in a file, and may
//! have a trained part that goes on from it.

mod convolutional;
mod frozen;
mod trained;
mod vit;

use burn::tensor::{Device, Tensor};
use glass_nets::Weights;
use glass_nets::image::ImageProcessor;
use glass_nets::weights::folder_digest;
use glass_schemas::spec::trainer::EncoderSpec;
use image::RgbImage;

pub use convolutional::{ConvolutionalEncoder, Convolutions, UNET_LAYOUT};
pub use frozen::FrozenNetwork;
pub use trained::{Encoded, TrainedEncoder};
pub use vit::{LAYOUT as BLOCKS_LAYOUT, TunedBlocks, VisionTransformer};

use crate::error::{Result, TrainerError};

/// The frozen part of an encoder.
pub trait Encoder: Send + Sync {
    /// `[pictures, rows, size]`, without a graph: tokens row by row, or the states that the trained
    /// part goes on from.
    ///
    /// # Errors
    /// Where a picture cannot be brought to the encoder's size.
    fn encode(&self, pictures: &[RgbImage]) -> Result<Tensor<3>>;

    /// Rows of a picture and their width.
    fn feature_shape(&self) -> [usize; 2];
}

/// The frozen part of the encoder that the spec names.
///
/// # Errors
/// Where its weights cannot be loaded or do not fit the spec.
pub fn load(spec: &EncoderSpec, device: &Device) -> Result<Box<dyn Encoder>> {
    Ok(Box::new(PictureEncoder::load(spec, device)?))
}

/// The sha256 in hex of what an encoder is made of: its weights, and where it is trained as a whole the
/// folder that it starts from.
///
/// # Errors
/// Where its files cannot be read.
pub fn digest(spec: &EncoderSpec) -> Result<String> {
    Ok(match spec.kind.is_convolutional() {
        true => folder_digest(&spec.weights)?,
        false => Weights::open(&spec.weights, "model")?.digest(),
    })
}

/// A frozen part with its preprocessing, for pictures of any size.
#[derive(Debug)]
pub struct PictureEncoder {
    network: FrozenNetwork,
    processor: ImageProcessor,
    side: usize,
    device: Device,
}

impl PictureEncoder {
    /// Loads what the spec names.
    ///
    /// # Errors
    /// As [`FrozenNetwork::load`]; [`TrainerError::Spec`] where the picture is no whole number of
    /// patches.
    pub fn load(spec: &EncoderSpec, device: &Device) -> Result<Self> {
        let network = FrozenNetwork::load(spec, device)?;
        let (side, patch) = (spec.image_size as usize, network.patch());
        if side == 0 || !side.is_multiple_of(patch) {
            return Err(TrainerError::Spec {
                field: "trainer.encoder.image_size",
                message: format!("{side} is no multiple of the patch size {patch}"),
            });
        }
        Ok(Self { processor: network.processor(spec)?, device: device.clone(), network, side })
    }
}

impl Encoder for PictureEncoder {
    fn encode(&self, pictures: &[RgbImage]) -> Result<Tensor<3>> {
        Ok(self.network.forward(self.processor.batch(pictures, &self.device)?)?)
    }

    fn feature_shape(&self) -> [usize; 2] {
        self.network.shape(self.side)
    }
}
