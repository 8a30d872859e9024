//! `config.json` of DINOv2.

use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;

/// transformers' `Dinov2Config` and `Dinov2WithRegistersConfig`, as far as they change the computation.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Dinov2Config {
    /// `dinov2` or `dinov2_with_registers`.
    pub model_type: String,
    /// Width of a token.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Width of the MLP as a multiple of the token's.
    pub mlp_ratio: f64,
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
    /// Whether the MLP is a gated SwiGLU.
    pub use_swiglu_ffn: bool,
    /// Register tokens of `dinov2_with_registers`.
    pub num_register_tokens: usize,
}

impl Default for Dinov2Config {
    fn default() -> Self {
        Self {
            model_type: "dinov2".to_owned(),
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            mlp_ratio: 4.0,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-6,
            image_size: Value::from(224),
            patch_size: Value::from(14),
            num_channels: 3,
            qkv_bias: true,
            use_swiglu_ffn: false,
            num_register_tokens: 4,
        }
    }
}

impl Dinov2Config {
    /// Number of register tokens that this model has.
    pub fn registers(&self) -> usize {
        if self.model_type == "dinov2_with_registers" { self.num_register_tokens } else { 0 }
    }

    /// Width of the MLP's hidden layer; for SwiGLU two thirds of it, rounded up to a multiple of eight.
    pub fn mlp_width(&self) -> usize {
        let full = (self.hidden_size as f64 * self.mlp_ratio) as usize;
        if self.use_swiglu_ffn { (full * 2 / 3).next_multiple_of(8) } else { full }
    }
}
