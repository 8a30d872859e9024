//! The socket of feature decoders: one variant a decoder.

use burn::module::Module;
use burn::tensor::Tensor;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{FeatureDecoderKind, TrainerSpec};

use super::mlp::{self, Decoded, MlpDecoder, MlpDecoderConfig, TokenChoice};
use super::transformer::{self, TransformerDecoder, TransformerDecoderConfig};
use crate::data::step_tokens;
use crate::layers::Initial;
use crate::losses::mean_square;
use crate::parts::{PartMapper, PartVisitor};

/// A decoder of the features.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
pub enum FeatureDecoder {
    /// The spatial-broadcast MLP.
    Mlp(MlpDecoder),
    /// The autoregressive Transformer.
    Transformer(TransformerDecoder),
}

/// What a step draws for the feature decoder.
#[derive(Debug, Clone, Copy)]
pub struct FeatureDraw {
    /// The run's seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// Share of the tokens that are decoded where tokens are decoded apart.
    pub token_share: f64,
}

impl FeatureDraw {
    /// One of `orders`, drawn for the step; `subject` keeps the draws of two decoders apart.
    pub fn order(&self, orders: usize, subject: &str) -> usize {
        let stream = Stream::new(self.seed, subject, Purpose::TokenOrder).at(self.step);
        stream.below(0, orders.max(1) as u64) as usize
    }
}

/// Which of the orders that a decoder knows its masks are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskOrders {
    /// This one; the first is the standard order.
    One(usize),
    /// The mean over all.
    All,
}

impl FeatureDecoder {
    /// The one that the spec names, with initial weights; `feature_shape` is tokens and width.
    pub fn new(spec: &TrainerSpec, feature_shape: [usize; 2], initial: &Initial) -> Option<Self> {
        let ([tokens, feature_size], slot_size) = (feature_shape, spec.slots.decoded_size());
        let features = spec.features.clone();
        match features.kind {
            FeatureDecoderKind::None => None,
            FeatureDecoderKind::Mlp => {
                let config = MlpDecoderConfig { slot_size, tokens, feature_size, features };
                Some(Self::Mlp(config.init(initial)))
            }
            FeatureDecoderKind::Transformer => {
                let config = TransformerDecoderConfig { slot_size, tokens, feature_size, features };
                Some(Self::Transformer(config.init(initial)))
            }
        }
    }

    /// Mean square error of the decoded tokens; `slots [batch, slots, slot_size]`, `target [batch,
    /// tokens, feature_size]` without a graph.
    pub fn loss(&self, slots: Tensor<3>, target: Tensor<3>, draw: &FeatureDraw) -> Tensor<1> {
        match self {
            Self::Mlp(decoder) => {
                let device = target.device();
                let choice = step_tokens(draw.seed, draw.step, target.dims()[1], draw.token_share);
                let target = choice.select(target, &device);
                mean_square(decoder.forward(slots, &choice).features, target)
            }
            Self::Transformer(decoder) => {
                let order = draw.order(decoder.orders(), "step");
                mean_square(decoder.forward(slots, target.clone(), order).features, target)
            }
        }
    }

    /// Features and masks of all tokens; masks are `[batch, slots, tokens]`. `target` is read by
    /// decoders that go from token to token.
    pub fn decode(&self, slots: Tensor<3>, target: Tensor<3>, orders: MaskOrders) -> Decoded {
        match (self, orders) {
            (Self::Mlp(decoder), _) => decoder.forward(slots, &TokenChoice::All),
            (Self::Transformer(decoder), MaskOrders::One(order)) => decoder.forward(slots, target, order),
            (Self::Transformer(decoder), MaskOrders::All) => decoder.forward_all(slots, target),
        }
    }

    /// Number of orders that its masks can be taken from.
    pub fn orders(&self) -> usize {
        match self {
            Self::Mlp(_) => 1,
            Self::Transformer(decoder) => decoder.orders(),
        }
    }

    /// Without autodiff.
    pub fn valid(&self) -> Self {
        match self {
            Self::Mlp(decoder) => Self::Mlp(decoder.valid()),
            Self::Transformer(decoder) => Self::Transformer(decoder.valid()),
        }
    }

    /// Shows its part.
    pub fn visit(&self, visitor: &mut impl PartVisitor) {
        match self {
            Self::Mlp(decoder) => visitor.visit(&mlp::LAYOUT, decoder),
            Self::Transformer(decoder) => visitor.visit(&transformer::LAYOUT, decoder),
        }
    }

    /// Changes its part.
    pub fn map(self, mapper: &mut impl PartMapper) -> Self {
        match self {
            Self::Mlp(decoder) => Self::Mlp(mapper.map(&mlp::LAYOUT, decoder)),
            Self::Transformer(decoder) => Self::Transformer(mapper.map(&transformer::LAYOUT, decoder)),
        }
    }
}
