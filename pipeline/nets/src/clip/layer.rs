//! The transformer layer that CLIP's text and vision sides share.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;

use crate::activation::Activation;
use crate::attention::{Visibility, attend, merge_heads, split_heads};
use crate::error::Result;
use crate::layers;
use crate::weights::Scope;

/// Sizes of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerSizes {
    /// Width of the hidden states.
    pub width: usize,
    /// Width inside the feed-forward part.
    pub inner: usize,
    /// Attention heads.
    pub heads: usize,
    /// The feed-forward activation.
    pub activation: Activation,
    /// ε of the layer norms.
    pub eps: f64,
}

impl LayerSizes {
    /// The norm of every hidden state.
    pub(super) fn norm(&self) -> LayerNormConfig {
        LayerNormConfig::new(self.width).with_epsilon(self.eps)
    }
}

/// transformers' `CLIPEncoderLayer`: x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Module, Debug)]
pub(super) struct Layer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    activation: Activation,
}

impl Layer {
    pub(super) fn from_scope(scope: &Scope<'_>, sizes: &LayerSizes) -> Result<Self> {
        let (width, inner) = (sizes.width, sizes.inner);
        let (attention, mlp) = (scope.enter("self_attn"), scope.enter("mlp"));
        let square = |name| layers::linear(&attention, name, &LinearConfig::new(width, width));
        Ok(Self {
            layer_norm1: layers::layer_norm(scope, "layer_norm1", &sizes.norm())?,
            q_proj: square("q_proj")?,
            k_proj: square("k_proj")?,
            v_proj: square("v_proj")?,
            out_proj: square("out_proj")?,
            layer_norm2: layers::layer_norm(scope, "layer_norm2", &sizes.norm())?,
            fc1: layers::linear(&mlp, "fc1", &LinearConfig::new(width, inner))?,
            fc2: layers::linear(&mlp, "fc2", &LinearConfig::new(inner, width))?,
            heads: sizes.heads,
            activation: sizes.activation,
        })
    }

    /// `[batch, tokens, width]` to the same.
    pub(super) fn forward(&self, hidden: Tensor<3>, seen: Visibility) -> Tensor<3> {
        let hidden = hidden.clone() + self.attend(self.layer_norm1.forward(hidden), seen);
        let inner = self.fc1.forward(self.layer_norm2.forward(hidden.clone()));
        hidden + self.fc2.forward(self.activation.forward(inner))
    }

    fn attend(&self, hidden: Tensor<3>, seen: Visibility) -> Tensor<3> {
        let split = |layer: &Linear| split_heads(layer.forward(hidden.clone()), self.heads);
        let mixed = attend(split(&self.q_proj), split(&self.k_proj), split(&self.v_proj), seen);
        self.out_proj.forward(merge_heads(mixed))
    }
}
