//! Attention of a picture's positions on each other, between convolutions.

use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, Linear};
use burn::tensor::Tensor;

use crate::attention::{Visibility, merge_heads, split_heads};
use crate::error::Result;
use crate::resnet::pointwise;
use crate::weights::Scope;
use crate::{layers, ops};

/// Upstream `Attention` with a group norm before it and its input added.
#[derive(Module, Debug)]
pub(crate) struct SpatialAttention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    #[module(skip)]
    heads: usize,
}

/// What a [`SpatialAttention`] is made of.
#[derive(Debug, Clone)]
pub(crate) struct SpatialAttentionConfig {
    pub channels: usize,
    pub heads: usize,
    pub groups: usize,
    pub eps: f64,
}

impl SpatialAttention {
    pub(crate) fn from_scope(scope: &Scope<'_>, config: &SpatialAttentionConfig) -> Result<Self> {
        let channels = config.channels;
        let norm = GroupNormConfig::new(config.groups, channels).with_epsilon(config.eps);
        // Checkpoints from before diffusers 0.18 have the older names.
        let projection = |new: &str, old: &str| {
            let name = if scope.enter(new).contains("weight") { new } else { old };
            pointwise(scope, name, channels, channels)
        };
        Ok(Self {
            group_norm: layers::group_norm(scope, "group_norm", &norm)?,
            to_q: projection("to_q", "query")?,
            to_k: projection("to_k", "key")?,
            to_v: projection("to_v", "value")?,
            to_out: projection("to_out.0", "proj_attn")?,
            heads: config.heads,
        })
    }

    /// `[batch, channels, height, width]` to the same.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let normed = ops::group_norm(&self.group_norm, x.clone());
        // [batch, positions, channels]
        let tokens = normed.reshape([batch, channels, height * width]).swap_dims(1, 2);
        let heads = |layer: &Linear| split_heads(layer.forward(tokens.clone()), self.heads);
        let mixed = ops::attention(heads(&self.to_q), heads(&self.to_k), heads(&self.to_v), Visibility::All);
        let out = self.to_out.forward(merge_heads(mixed));
        out.swap_dims(1, 2).reshape([batch, channels, height, width]) + x
    }
}
