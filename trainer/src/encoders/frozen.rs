//! The frozen part of an encoder: a vision transformer, or nothing but pixels.

use burn::tensor::{Device, Tensor};
use glass_nets::NetsError;
use glass_nets::image::ImageProcessor;
use glass_schemas::spec::trainer::{EncoderSpec, Pixels};

use super::convolutional;
use super::vit::VisionTransformer;
use crate::error::Result;

/// Channels of a picture.
const COLOURS: usize = 3;

/// What turns normalised pixels into states.
#[derive(Debug)]
pub enum FrozenNetwork {
    /// A vision transformer, whole or up to the first trained block.
    Transformer(Box<VisionTransformer>),
    /// Pixels themselves, where the encoder is trained as a whole; so many of a side make a token.
    Pixels(usize),
}

impl FrozenNetwork {
    /// The one that the spec names.
    ///
    /// # Errors
    /// Where its files cannot be read or hold another network.
    pub fn load(spec: &EncoderSpec, device: &Device) -> Result<Self> {
        Ok(match spec.kind.is_convolutional() {
            true => Self::Pixels(convolutional::downscale(spec)?),
            false => Self::Transformer(Box::new(VisionTransformer::load(spec, device)?)),
        })
    }

    /// Normalised pixels `[batch, 3, height, width]` → `[batch, rows, size]`.
    ///
    /// # Errors
    /// Where pictures do not divide into patches.
    pub fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>, NetsError> {
        match self {
            Self::Transformer(network) => network.forward(pixels),
            Self::Pixels(_) => {
                let [batch, channels, height, width] = pixels.dims();
                let rows = pixels.reshape([batch, channels, height * width]);
                Ok(rows.swap_dims(1, 2))
            }
        }
    }

    /// Rows that it gives for a square picture, and their width.
    pub fn shape(&self, side: usize) -> [usize; 2] {
        match self {
            Self::Transformer(network) => network.shape(side),
            Self::Pixels(_) => [side * side, COLOURS],
        }
    }

    /// Width of a token to methods without training: of the features, or of its square of pixels.
    pub fn token_width(&self) -> usize {
        match self {
            Self::Transformer(network) => network.shape(network.patch())[1],
            Self::Pixels(downscale) => COLOURS * downscale * downscale,
        }
    }

    /// Side of a token's square in pixels.
    pub fn patch(&self) -> usize {
        match self {
            Self::Transformer(network) => network.patch(),
            Self::Pixels(downscale) => *downscale,
        }
    }

    /// How pictures are brought to the size of the spec and normalised: as the checkpoint says, or
    /// within [−1, 1].
    ///
    /// # Errors
    /// Where the checkpoint does not say it.
    pub fn processor(&self, spec: &EncoderSpec) -> Result<ImageProcessor> {
        let side = spec.image_size;
        Ok(match (self, spec.pixels) {
            (Self::Transformer(_), Pixels::Checkpoint) => ImageProcessor::load(&spec.weights)?.with_size(side),
            (Self::Transformer(_), Pixels::Centred) | (Self::Pixels(_), _) => ImageProcessor::centred(side),
        })
    }
}
