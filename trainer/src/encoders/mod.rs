//! From pictures to tokens. An encoder has a frozen part, whose output can be kept in a file, and may
//! have a trained part that goes on from it.

mod trained;
mod vit;

use burn::tensor::{Device, Tensor};
use glass_schemas::spec::trainer::{EncoderKind, EncoderSpec};
use image::RgbImage;

pub use trained::{Encoded, TrainedEncoder};
pub use vit::{LAYOUT as BLOCKS_LAYOUT, TransformerEncoder, TunedBlocks, VisionTransformer};

use crate::error::Result;

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
    match spec.kind {
        EncoderKind::Dinov2 | EncoderKind::Dino => {
            Ok(Box::new(TransformerEncoder::load(spec, device)?))
        }
    }
}
