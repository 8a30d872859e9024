//! The spatial-broadcast MLP decoder of the features (DINOSAUR's; GLASS `src/models/mlp_decoder.py`).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use glass_schemas::spec::trainer::FeatureDecoderSpec;

use crate::checkpoint::feature_names;
use crate::layers::{Bias, Initial, Linear};
use crate::parts::{Group, Layout, Origin};

/// How the decoder is saved.
pub const LAYOUT: Layout = Layout::plain(Group::Features, Origin::Seed, "mlpdecoder/model.safetensors", feature_names);

/// Sizes of the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpDecoderConfig {
    /// Width of the slots.
    pub slot_size: usize,
    /// Number of tokens.
    pub tokens: usize,
    /// Width of the features.
    pub feature_size: usize,
    /// Everything the run spec says.
    pub features: FeatureDecoderSpec,
}

impl MlpDecoderConfig {
    /// With initial weights: positions N(0, 0.02²), biases zero.
    pub fn init(&self, initial: &Initial) -> MlpDecoder {
        let (hidden, layers) = (self.features.size, self.features.layers.max(1));
        let layer = |index: usize| {
            let inputs = if index == 0 { self.slot_size } else { hidden };
            let outputs = if index == layers { self.feature_size + 1 } else { hidden };
            Linear::new(initial, &format!("layers.{index}"), inputs, outputs, Bias::Zeros)
        };
        MlpDecoder {
            pos: initial.normal("pos", [1, self.tokens, self.slot_size], 0.02),
            layers: (0..=layers).map(layer).collect(),
        }
    }
}

/// Which tokens a step decodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenChoice {
    /// All of them, in order.
    All,
    /// These, in this order.
    Some(Vec<i32>),
}

impl TokenChoice {
    /// The chosen ones of `[batch, tokens, size]`.
    pub fn select(&self, tokens: Tensor<3>, device: &Device) -> Tensor<3> {
        match self {
            Self::All => tokens,
            Self::Some(indices) => tokens.select(1, index_tensor(indices, device)),
        }
    }
}

fn index_tensor(indices: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(indices.to_vec(), [indices.len()]), device)
}

/// Every slot is broadcast to every token, decoded alone, and mixed by its alpha.
#[derive(Module, Debug)]
pub struct MlpDecoder {
    /// `[1, tokens, slot_size]`, the same for every slot.
    pos: Param<Tensor<3>>,
    layers: Vec<Linear>,
}

/// Decoded features.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// `[batch, tokens, feature_size]`
    pub features: Tensor<3>,
    /// `[batch, slots, tokens]`: softmax over the slots; DINOSAUR's masks.
    pub masks: Tensor<3>,
}

impl MlpDecoder {
    /// `slots [batch, slots, slot_size]`.
    ///
    /// The arithmetic is that of decoding every (slot, token) pair, arranged so that wide products
    /// run once: the first layer is linear in slot + position, so both are projected apart and
    /// then added; the last is linear and the alphas sum to one, so features are projected after
    /// they are mixed.
    pub fn forward(&self, slots: Tensor<3>, tokens: &TokenChoice) -> Decoded {
        let [batch, count, size] = slots.dims();
        let device = slots.device();
        let positions = tokens.select(self.pos.val(), &device);
        let token_count = positions.dims()[1];
        let (first, last) = (&self.layers[0], &self.layers[self.layers.len() - 1]);

        let slots = slots.reshape([batch * count, size]).matmul(first.weight.val());
        let hidden_size = slots.dims()[1];
        let positions = first.forward(positions.reshape([token_count, size]));
        let hidden = slots.reshape([batch * count, 1, hidden_size]) + positions.reshape([1, token_count, hidden_size]);
        let mut hidden = activation::relu(hidden).reshape([batch * count * token_count, hidden_size]);
        for layer in &self.layers[1..self.layers.len() - 1] {
            hidden = activation::relu(layer.forward(hidden));
        }

        let [_, outputs] = last.weight.dims();
        let feature_size = outputs - 1;
        let weight = last.weight.val();
        let to_features = weight.clone().slice([0..hidden_size, 0..feature_size]);
        let to_alpha = weight.slice([0..hidden_size, feature_size..outputs]);
        // The alpha's bias is the same for every slot: it cancels in the softmax.
        let masks = activation::softmax(hidden.clone().matmul(to_alpha).reshape([batch, count, token_count]), 1);
        let mixed = (masks.clone().unsqueeze_dim::<4>(3) * hidden.reshape([batch, count, token_count, hidden_size]))
            .sum_dim(1)
            .reshape([batch * token_count, hidden_size]);
        let features = mixed.matmul(to_features);
        let features = match &last.bias {
            Some(bias) => features + bias.val().narrow(0, 0, feature_size).unsqueeze(),
            None => features,
        };
        Decoded { features: features.reshape([batch, token_count, feature_size]), masks }
    }

    /// Number of tokens it can decode.
    pub fn tokens(&self) -> usize {
        self.pos.dims()[1]
    }
}
