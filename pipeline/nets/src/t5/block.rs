//! The layers of one block of T5.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig, RmsNorm};
use burn::tensor::Tensor;

use super::T5Config;
use super::config::FeedForwardKind;
use crate::activation::Activation;
use crate::attention::{attend_biased, merge_heads, split_heads};
use crate::error::Result;
use crate::layers::{linear, rms_norm};
use crate::weights::Scope;

/// transformers' `T5Attention` with the norm before it (`T5LayerSelfAttention`, `T5LayerCrossAttention`).
#[derive(Module, Debug)]
pub(super) struct Attention {
    norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    pub(super) fn load(scope: &Scope, name: &str, config: &T5Config) -> Result<Self> {
        let (dim, inner) = (config.d_model, config.num_heads * config.d_kv);
        let layers = scope.enter(name);
        let into = LinearConfig::new(dim, inner).with_bias(false);
        Ok(Self {
            norm: norm(scope, "layer_norm", config)?,
            query: linear(&layers, "q", &into)?,
            key: linear(&layers, "k", &into)?,
            value: linear(&layers, "v", &into)?,
            output: linear(&layers, "o", &LinearConfig::new(inner, dim).with_bias(false))?,
            heads: config.num_heads,
        })
    }

    /// Keys and values of `[rows, tokens, d_model]`, each `[rows, heads, tokens, d_kv]`.
    pub(super) fn keys(&self, seen: &Tensor<3>) -> (Tensor<4>, Tensor<4>) {
        let split = |layer: &Linear| split_heads(layer.forward(seen.clone()), self.heads);
        (split(&self.key), split(&self.value))
    }

    /// The input of the projections.
    pub(super) fn norm(&self, x: &Tensor<3>) -> Tensor<3> {
        self.norm.forward(x.clone())
    }

    /// Adds to `x` what its normed form sees through keys and values; the scores are not scaled.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        normed: Tensor<3>,
        (key, value): (Tensor<4>, Tensor<4>),
        bias: &Tensor<4>,
    ) -> Tensor<3> {
        let query = split_heads(self.query.forward(normed), self.heads);
        let attended = attend_biased(query, key, value, bias.clone(), Some(1.0));
        x + self.output.forward(merge_heads(attended))
    }
}

/// transformers' `T5LayerFF`.
#[derive(Module, Debug)]
pub(super) struct FeedForward {
    norm: RmsNorm,
    /// What the activation is applied to.
    inner: Linear,
    /// What its result is multiplied with, where the layer is gated.
    gate: Option<Linear>,
    output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    pub(super) fn load(scope: &Scope, config: &T5Config, kind: FeedForwardKind) -> Result<Self> {
        let (dim, hidden) = (config.d_model, config.d_ff);
        let layers = scope.enter("DenseReluDense");
        let into = LinearConfig::new(dim, hidden).with_bias(false);
        let (inner, gate) = match kind.gated {
            true => ("wi_0", Some(linear(&layers, "wi_1", &into)?)),
            false => ("wi", None),
        };
        Ok(Self {
            norm: norm(scope, "layer_norm", config)?,
            inner: linear(&layers, inner, &into)?,
            gate,
            output: linear(&layers, "wo", &LinearConfig::new(hidden, dim).with_bias(false))?,
            activation: kind.activation,
        })
    }

    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.norm.forward(x.clone());
        let hidden = self.activation.forward(self.inner.forward(normed.clone()));
        let hidden = match &self.gate {
            Some(gate) => hidden * gate.forward(normed),
            None => hidden,
        };
        x + self.output.forward(hidden)
    }
}

/// transformers' `T5LayerNorm`: no mean, no bias.
pub(super) fn norm(scope: &Scope, name: &str, config: &T5Config) -> Result<RmsNorm> {
    rms_norm(scope, name, config.d_model, config.layer_norm_epsilon)
}
