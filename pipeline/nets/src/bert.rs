//! The parts of a layer in BERT's manner, whose norms come after the sums: BLIP-2's Q-Former and BLIP's
//! text decoder are made of them.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;

use crate::activation::Activation;
use crate::attention::{merge_heads, split_heads};
use crate::error::Result;
use crate::layers::{layer_norm, linear};
use crate::weights::Scope;

/// Sizes that all parts of a layer share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Width of a token.
    pub dim: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Width of the MLP's hidden layer.
    pub hidden: usize,
    /// Epsilon of the norms.
    pub eps: f64,
}

impl Sizes {
    pub(crate) fn norm(&self) -> LayerNormConfig {
        LayerNormConfig::new(self.dim).with_epsilon(self.eps)
    }
}

/// Attention, then the norm of the sum with its input.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: LayerNorm,
    heads: usize,
}

impl Attention {
    /// `inner` is what upstream calls the part before the output; `key_dim` is the width of what is seen.
    pub(crate) fn load(scope: &Scope, inner: &str, sizes: &Sizes, key_dim: usize) -> Result<Self> {
        let dim = sizes.dim;
        let (inner, output) = (scope.enter(inner), scope.enter("output"));
        Ok(Self {
            query: linear(&inner, "query", &LinearConfig::new(dim, dim))?,
            key: linear(&inner, "key", &LinearConfig::new(key_dim, dim))?,
            value: linear(&inner, "value", &LinearConfig::new(key_dim, dim))?,
            output: linear(&output, "dense", &LinearConfig::new(dim, dim))?,
            norm: layer_norm(&output, "LayerNorm", &sizes.norm())?,
            heads: sizes.heads,
        })
    }

    /// `[rows, tokens, dim]` to `[rows, heads, tokens, head_dim]`.
    pub(crate) fn query(&self, x: &Tensor<3>) -> Tensor<4> {
        split_heads(self.query.forward(x.clone()), self.heads)
    }

    /// Keys and values of what is seen, `[rows, tokens, key_dim]`.
    pub(crate) fn keys(&self, seen: &Tensor<3>) -> (Tensor<4>, Tensor<4>) {
        let split = |layer: &Linear| split_heads(layer.forward(seen.clone()), self.heads);
        (split(&self.key), split(&self.value))
    }

    /// Adds what was attended to the input `x` and normalises.
    pub(crate) fn finish(&self, attended: Tensor<4>, x: Tensor<3>) -> Tensor<3> {
        self.norm.forward(self.output.forward(merge_heads(attended)) + x)
    }
}

/// The MLP, then the norm of the sum with its input.
#[derive(Module, Debug)]
pub(crate) struct FeedForward {
    dense_in: Linear,
    dense_out: Linear,
    norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    /// `names` are those of the two halves, such as `["intermediate", "output"]`.
    pub(crate) fn load(scope: &Scope, names: [&str; 2], sizes: &Sizes, activation: Activation) -> Result<Self> {
        let [inner, output] = names.map(|name| scope.enter(name));
        Ok(Self {
            dense_in: linear(&inner, "dense", &LinearConfig::new(sizes.dim, sizes.hidden))?,
            dense_out: linear(&output, "dense", &LinearConfig::new(sizes.hidden, sizes.dim))?,
            norm: layer_norm(&output, "LayerNorm", &sizes.norm())?,
            activation,
        })
    }

    /// `[rows, tokens, dim]` to the same.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let hidden = self.activation.forward(self.dense_in.forward(x.clone()));
        self.norm.forward(self.dense_out.forward(hidden) + x)
    }
}
