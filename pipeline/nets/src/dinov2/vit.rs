//! `config.json` of DINO, which transformers keeps as a `ViTModel`.

use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;

/// transformers' `ViTConfig`, as far as it changes the computation.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct ViTConfig {
    /// Width of a token.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Side of the pictures that the positions were learned for, in pixels; a number or `[height, width]`.
    pub image_size: Value,
    /// Side of a patch in pixels; a number or `[height, width]`.
    pub patch_size: Value,
    /// Channels of a picture.
    pub num_channels: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
}

impl Default for ViTConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            image_size: Value::from(224),
            patch_size: Value::from(16),
            num_channels: 3,
            qkv_bias: true,
        }
    }
}
