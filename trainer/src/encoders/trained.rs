//! The socket of trained encoders: one variant a network.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_schemas::spec::trainer::{EncoderKind, EncoderSpec};

use super::convolutional::ConvolutionalEncoder;
use super::vit::{self, TunedBlocks};
use crate::error::Result;
use crate::parts::{PartMapper, PartVisitor};

/// The trained part of an encoder.
#[derive(Debug, Clone)]
pub enum TrainedEncoder {
    /// The last blocks of a vision transformer.
    Blocks(Box<TunedBlocks>),
    /// A convolutional network as a whole.
    Convolutional(Box<ConvolutionalEncoder>),
}

/// What a picture is to slots and to the feature decoder.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// `[batch, tokens, size]`: what slots compete for.
    pub features: Tensor<3>,
    /// `[batch, tokens, size]`, without a graph: what the feature decoder is asked for.
    pub target: Tensor<3>,
}

impl Encoded {
    /// Features of an encoder that is frozen as a whole.
    pub fn frozen(features: Tensor<3>) -> Self {
        Self { target: features.clone(), features }
    }
}

impl TrainedEncoder {
    /// The one that the spec names; none where the encoder is frozen. `seed` draws weights that start
    /// from nothing; `device` may be without autodiff.
    ///
    /// # Errors
    /// Where its weights cannot be loaded.
    pub fn new(spec: &EncoderSpec, seed: u64, device: &Device) -> Result<Option<Self>> {
        match (spec.kind, spec.train_from) {
            (EncoderKind::Dinov2 | EncoderKind::Dino, Some(first)) => {
                let blocks = TunedBlocks::load(spec, first, device)?;
                Ok(Some(Self::Blocks(Box::new(blocks))))
            }
            (EncoderKind::Dinov2 | EncoderKind::Dino, None) => Ok(None),
            (EncoderKind::Resnet34 | EncoderKind::UnetEncoder, _) => {
                let encoder = ConvolutionalEncoder::load(spec, seed, device)?;
                Ok(Some(Self::Convolutional(Box::new(encoder))))
            }
        }
    }

    /// `states [batch, rows, size]` of the frozen part → features and target.
    pub fn forward(&self, states: Tensor<3>) -> Encoded {
        match self {
            Self::Blocks(blocks) => Encoded {
                features: blocks.trained.forward(states.clone()),
                target: blocks.frozen.forward(states).detach(),
            },
            Self::Convolutional(encoder) => {
                let features = encoder.forward(states);
                Encoded { target: features.clone().detach(), features }
            }
        }
    }

    /// Features of the network as it was before training: what methods without training see.
    pub fn untrained(&self, states: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Blocks(blocks) => blocks.frozen.forward(states),
            Self::Convolutional(encoder) => encoder.untrained(states),
        }
    }

    /// Whether it turns pixels into tokens, so that nothing frozen decides their width.
    pub fn takes_pixels(&self) -> bool {
        matches!(self, Self::Convolutional(_))
    }

    /// Documents that are saved beside its weights, by name.
    pub fn documents(&self) -> Vec<(&'static str, serde_json::Value)> {
        match self {
            Self::Blocks(_) => Vec::new(),
            Self::Convolutional(encoder) => encoder.documents(),
        }
    }

    /// Tokens and width of the features for states of a shape.
    pub fn feature_shape(&self, [rows, size]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::Blocks(blocks) => [rows - blocks.trained.prefix_tokens(), size],
            Self::Convolutional(encoder) => encoder.feature_shape([rows, size]),
        }
    }

    /// Without autodiff.
    pub fn valid(&self) -> Self {
        match self {
            Self::Blocks(blocks) => {
                Self::Blocks(Box::new(TunedBlocks { trained: blocks.trained.valid(), frozen: blocks.frozen.valid() }))
            }
            Self::Convolutional(encoder) => Self::Convolutional(Box::new(encoder.valid())),
        }
    }

    /// Shows its part.
    pub fn visit(&self, visitor: &mut impl PartVisitor) {
        match self {
            Self::Blocks(blocks) => visitor.visit(&vit::LAYOUT, &blocks.trained),
            Self::Convolutional(encoder) => visitor.visit(&encoder.layout(), &encoder.network),
        }
    }

    /// Changes its part.
    pub fn map(self, mapper: &mut impl PartMapper) -> Self {
        match self {
            Self::Blocks(mut blocks) => {
                blocks.trained = mapper.map(&vit::LAYOUT, blocks.trained);
                Self::Blocks(blocks)
            }
            Self::Convolutional(mut encoder) => {
                encoder.network = mapper.map(&encoder.layout(), encoder.network);
                Self::Convolutional(encoder)
            }
        }
    }
}
