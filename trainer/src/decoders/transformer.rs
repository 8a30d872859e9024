//! The autoregressive Transformer decoder of the features (DINOSAUR; SPOT, `spot.py` and
//! `transformer.py`, whose tensor names are kept), its blocks as SPOT's or as PyTorch's.
//!
//! Each token is predicted from the true tokens before it and from the slots. There is no position
//! embedding: where a token is, the features before it tell.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};
use glass_nets::attention::{Visibility, attend, merge_heads, split_heads};
use glass_schemas::spec::trainer::{FeatureDecoderSpec, InitialWeights, TransformerBlocks};

use super::mlp::Decoded;
use super::orders::{TokenOrder, token_orders};
use crate::layers::{Bias, Initial, LayerNorm, Linear, Mlp};
use crate::parts::{Group, Layout, Origin};

/// How the decoder is saved.
pub const LAYOUT: Layout =
    Layout::plain(Group::Features, Origin::Seed, "transformerdecoder/model.safetensors", transformer_names);

/// Sizes of the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerDecoderConfig {
    /// Width of the slots.
    pub slot_size: usize,
    /// Number of tokens, a square.
    pub tokens: usize,
    /// Width of the features, and of the decoder.
    pub feature_size: usize,
    /// Everything the run spec says.
    pub features: FeatureDecoderSpec,
}

impl TransformerDecoderConfig {
    /// With initial weights: Xavier, output projections shrunk by (3 · blocks)^-½, first tokens
    /// N(0, 0.02²).
    pub fn init(&self, initial: &Initial) -> TransformerDecoder {
        let initial = &initial.clone().with(InitialWeights::Xavier);
        let (size, spec) = (self.feature_size, &self.features);
        let orders = token_orders(spec.orders, self.tokens.isqrt());
        let dec = initial.scope("dec");
        let (start, norm) = match spec.blocks {
            TransformerBlocks::Spot => {
                let gain = ((3 * spec.layers) as f32).powf(-0.5);
                let bias = Bias::Absent;
                (Start { gain, bias }, Some(LayerNorm::new(&dec, "layer_norm", size)))
            }
            TransformerBlocks::Torch => (Start { gain: 1.0, bias: Bias::Zeros }, None),
        };
        let block = |index: usize| {
            let scope = dec.scope(&format!("blocks.{index}"));
            Block::new(&scope, size, spec.size, start)
        };
        TransformerDecoder {
            bos_tokens: initial.normal("bos_tokens", [orders.len(), 1, 1, size], 0.02),
            input_proj: Projection::new(initial, "input_proj", size, size),
            slot_proj: Projection::new(initial, "slot_proj", self.slot_size, size),
            dec: Blocks { blocks: (0..spec.layers).map(block).collect(), layer_norm: norm },
            heads: spec.heads,
            kind: spec.blocks,
            orders,
        }
    }
}

/// Decodes tokens one after the other, in one of the orders it was made for.
#[derive(Module, Debug)]
pub struct TransformerDecoder {
    /// What each order begins with, `[orders, 1, 1, size]`.
    bos_tokens: Param<Tensor<4>>,
    input_proj: Projection,
    slot_proj: Projection,
    dec: Blocks,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    kind: TransformerBlocks,
    #[module(skip)]
    orders: Vec<TokenOrder>,
}

#[derive(Module, Debug)]
struct Blocks {
    blocks: Vec<Block>,
    layer_norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// Number of orders.
    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// Number of tokens it decodes.
    pub fn tokens(&self) -> usize {
        self.orders.first().map_or(0, |order| order.len())
    }

    /// `slots [batch, slots, slot_size]`, `target [batch, tokens, feature_size]` → the target as the
    /// decoder predicts it, each token from those before it in the order, and the cross-attention of
    /// the last block: the sum over the heads, one over the slots at each token.
    pub fn forward(&self, slots: Tensor<3>, target: Tensor<3>, order: usize) -> Decoded {
        let [batch, tokens, size] = target.dims();
        let device = target.device();
        let order_of = &self.orders[order];
        let target = order_of.arrange(target, &device);
        let first = self
            .bos_tokens
            .val()
            .slice([order..order + 1, 0..1, 0..1, 0..size])
            .reshape([1, 1, size])
            .repeat_dim(0, batch);
        let before = Tensor::cat(vec![first, target.narrow(1, 0, tokens - 1)], 1);
        let mut x = self.input_proj.forward(before);
        let memory = self.slot_proj.forward(slots);
        let mut attention = None;
        for (index, block) in self.dec.blocks.iter().enumerate() {
            let base = Base::of(index, self.kind);
            let (y, weights) = block.forward(x, memory.clone(), self.heads, base);
            x = y;
            attention = Some(weights);
        }
        let decoded = match &self.dec.layer_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let decoded = order_of.restore(decoded, &device);
        let masks = match attention {
            Some(weights) => {
                let weights = weights.sum_dim(1).squeeze_dim::<3>(1); // [batch, tokens, slots]
                let weights = weights.clone() / weights.sum_dim(2);
                order_of.restore(weights, &device).swap_dims(1, 2)
            }
            None => Tensor::zeros([batch, memory.dims()[1], tokens], &device),
        };
        Decoded { features: decoded, masks }
    }

    /// Masks and features averaged over all orders (SPOT's ensemble).
    pub fn forward_all(&self, slots: Tensor<3>, target: Tensor<3>) -> Decoded {
        let mut sum = self.forward(slots.clone(), target.clone(), 0);
        for order in 1..self.orders() {
            let next = self.forward(slots.clone(), target.clone(), order);
            sum.features = sum.features + next.features;
            sum.masks = sum.masks + next.masks;
        }
        let share = 1.0 / self.orders() as f64;
        Decoded { features: sum.features * share, masks: sum.masks * share }
    }
}

/// The published name of a parameter.
pub fn transformer_names(path: &str) -> String {
    path.replace("proj.linear.", "proj.0.")
        .replace("proj.norm.", "proj.1.")
        .replace(".first.", ".0.")
        .replace(".second.", ".2.")
}

/// A linear map without a bias and a layer norm.
#[derive(Module, Debug)]
struct Projection {
    linear: Linear,
    norm: LayerNorm,
}

impl Projection {
    fn new(initial: &Initial, name: &str, inputs: usize, outputs: usize) -> Self {
        let scope = initial.scope(name);
        Self {
            linear: Linear::new(&scope, "linear", inputs, outputs, Bias::Absent),
            norm: LayerNorm::new(&scope, "norm", outputs),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(self.linear.forward3(x))
    }
}

/// What a block adds to: its input before its layer norm, or after it, as SPOT's first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Input,
    Normalised,
}

impl Base {
    const fn of(index: usize, kind: TransformerBlocks) -> Self {
        match (index, kind) {
            (0, TransformerBlocks::Spot) => Self::Normalised,
            _ => Self::Input,
        }
    }
}

/// How a block's layers start.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// What the weights of the last layers are multiplied by.
    gain: f32,
    /// Of attention.
    bias: Bias,
}

/// Causal self-attention, attention to the slots, a feed-forward layer, each after a layer norm.
#[derive(Module, Debug)]
struct Block {
    self_attn_layer_norm: LayerNorm,
    self_attn: Attention,
    encoder_decoder_attn_layer_norm: LayerNorm,
    encoder_decoder_attn: Attention,
    ffn_layer_norm: LayerNorm,
    ffn: Mlp,
}

impl Block {
    fn new(scope: &Initial, size: usize, hidden: usize, start: Start) -> Self {
        let gain = start.gain;
        Self {
            self_attn_layer_norm: LayerNorm::new(scope, "self_attn_layer_norm", size),
            self_attn: Attention::new(&scope.scope("self_attn"), size, start),
            encoder_decoder_attn_layer_norm: LayerNorm::new(scope, "encoder_decoder_attn_layer_norm", size),
            encoder_decoder_attn: Attention::new(&scope.scope("encoder_decoder_attn"), size, start),
            ffn_layer_norm: LayerNorm::new(scope, "ffn_layer_norm", size),
            ffn: Mlp {
                first: Linear::before_relu(&scope.scope("ffn"), "first", [size, hidden], Bias::Zeros),
                second: shrunk(&scope.scope("ffn"), "second", [hidden, size], Bias::Zeros, gain),
            },
        }
    }

    /// The block's output, and its attention to the slots, `[batch, heads, tokens, slots]`.
    fn forward(&self, x: Tensor<3>, memory: Tensor<3>, heads: usize, base: Base) -> (Tensor<3>, Tensor<4>) {
        let [batch, tokens, size] = x.dims();
        let normal = self.self_attn_layer_norm.forward(x.clone());
        let base = match base {
            Base::Normalised => normal.clone(),
            Base::Input => x,
        };
        let x = base + self.self_attn.among(normal, heads);
        let normal = self.encoder_decoder_attn_layer_norm.forward(x.clone());
        let (attended, weights) = self.encoder_decoder_attn.to(normal, memory, heads);
        let x = x + attended;
        let normal = self.ffn_layer_norm.forward(x.clone());
        let mixed = self.ffn.forward(normal.reshape([batch * tokens, size]));
        (x + mixed.reshape([batch, tokens, size]), weights)
    }
}

/// Multi-head attention.
#[derive(Module, Debug)]
struct Attention {
    proj_q: Linear,
    proj_k: Linear,
    proj_v: Linear,
    proj_o: Linear,
}

impl Attention {
    fn new(scope: &Initial, size: usize, start: Start) -> Self {
        let linear = |name: &str| Linear::new(scope, name, size, size, start.bias);
        Self {
            proj_q: linear("proj_q"),
            proj_k: linear("proj_k"),
            proj_v: linear("proj_v"),
            proj_o: shrunk(scope, "proj_o", [size, size], start.bias, start.gain),
        }
    }

    /// Of tokens to themselves and those before them.
    fn among(&self, x: Tensor<3>, heads: usize) -> Tensor<3> {
        let split = |layer: &Linear| split_heads(layer.forward3(x.clone()), heads);
        let attended = attend(split(&self.proj_q), split(&self.proj_k), split(&self.proj_v), Visibility::Causal);
        self.proj_o.forward3(merge_heads(attended))
    }

    /// Of tokens to slots: few keys, and the weights are wanted.
    fn to(&self, x: Tensor<3>, memory: Tensor<3>, heads: usize) -> (Tensor<3>, Tensor<4>) {
        let queries = split_heads(self.proj_q.forward3(x), heads);
        let keys = split_heads(self.proj_k.forward3(memory.clone()), heads);
        let values = split_heads(self.proj_v.forward3(memory), heads);
        let scale = (queries.dims()[3] as f64).powf(-0.5);
        let weights = activation::softmax((queries * scale).matmul(keys.swap_dims(2, 3)), 3);
        let attended = self.proj_o.forward3(merge_heads(weights.clone().matmul(values)));
        (attended, weights)
    }
}

/// Xavier's weights times `gain`.
fn shrunk(scope: &Initial, name: &str, sizes: [usize; 2], bias: Bias, gain: f32) -> Linear {
    let bound = gain * (6.0 / (sizes[0] + sizes[1]) as f32).sqrt();
    Linear::within(scope, name, sizes, bias, bound)
}
