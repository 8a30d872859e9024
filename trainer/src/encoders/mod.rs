//! Frozen networks that turn pictures into tokens.

mod dinov2;

use burn::tensor::Tensor;
use image::RgbImage;

pub use dinov2::Dinov2Encoder;

use crate::error::Result;

/// A frozen feature encoder.
pub trait Encoder: Send + Sync {
    /// `[pictures, tokens, size]`, without a graph; tokens row by row.
    ///
    /// # Errors
    /// Where a picture cannot be brought to the encoder's size.
    fn encode(&self, pictures: &[RgbImage]) -> Result<Tensor<3>>;

    /// Tokens of a picture and the width of their features.
    fn feature_shape(&self) -> [usize; 2];
}
