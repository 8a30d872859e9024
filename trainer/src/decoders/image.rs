//! The socket of image decoders: one variant a decoder.

use burn::tensor::{Device, Tensor};
use glass_schemas::spec::trainer::{ImageDecoderKind, PhaseSpec, TrainerSpec};

use super::diffusion::DiffusionDecoder;
use crate::data::Batch;
use crate::error::Result;
use crate::parts::{PartMapper, PartVisitor};

/// A decoder of images.
#[derive(Debug, Clone)]
pub enum ImageDecoder {
    /// A pretrained UNet that reads slots where it read text.
    StableDiffusion(Box<DiffusionDecoder>),
}

impl ImageDecoder {
    /// The one that the spec names; none where it names none.
    ///
    /// # Errors
    /// Where its pretrained weights cannot be loaded.
    pub fn new(spec: &TrainerSpec, device: &Device) -> Result<Option<Self>> {
        match spec.image.kind {
            ImageDecoderKind::None => Ok(None),
            ImageDecoderKind::StableDiffusion => {
                let decoder = DiffusionDecoder::load(&spec.diffusion, device)?;
                Ok(Some(Self::StableDiffusion(Box::new(decoder))))
            }
        }
    }

    /// The loss of a batch; `slots [batch, slots, slot_size]`.
    ///
    /// # Errors
    /// Where the batch lacks what is decoded.
    pub fn loss(&self, slots: Tensor<3>, batch: &Batch<'_>) -> Result<Tensor<1>> {
        match self {
            Self::StableDiffusion(decoder) => decoder.loss_of(slots, batch),
        }
    }

    /// Masks of the pictures, `[batch, slots, positions]` with a square number of positions, where
    /// the decoder has some.
    pub fn masks(&self, _slots: Tensor<3>) -> Option<Tensor<3>> {
        match self {
            Self::StableDiffusion(_) => None,
        }
    }

    /// What of it a phase trains and what is frozen.
    pub fn in_phase(self, spec: &TrainerSpec, phase: &PhaseSpec) -> Self {
        match self {
            Self::StableDiffusion(decoder) => {
                let part = (phase.learning_rate.unet > 0.0).then_some(spec.diffusion.train);
                Self::StableDiffusion(Box::new(decoder.trained(part)))
            }
        }
    }

    /// Documents that are saved beside its weights, by name.
    pub fn documents(&self) -> Vec<(&'static str, serde_json::Value)> {
        match self {
            Self::StableDiffusion(decoder) => decoder.documents(),
        }
    }

    /// Shows its part.
    pub fn visit(&self, visitor: &mut impl PartVisitor) {
        match self {
            Self::StableDiffusion(decoder) => visitor.visit(&decoder.layout(), &decoder.unet),
        }
    }

    /// Changes its part.
    pub fn map(self, mapper: &mut impl PartMapper) -> Self {
        match self {
            Self::StableDiffusion(mut decoder) => {
                let layout = decoder.layout();
                decoder.unet = mapper.map(&layout, decoder.unet);
                Self::StableDiffusion(decoder)
            }
        }
    }
}
