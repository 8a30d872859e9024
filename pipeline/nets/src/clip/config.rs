//! `config.json` of CLIP's two sides.

use serde::Deserialize;

use crate::activation::Activation;

/// Upstream `CLIPTextConfig`, with its defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipTextConfig {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// The feed-forward activation.
    pub hidden_act: Activation,
    /// ε of the layer norms.
    pub layer_norm_eps: f64,
    /// The token whose state is pooled; 2 in old files means the token of the largest id.
    pub eos_token_id: i64,
}

impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

/// Upstream `CLIPVisionConfig`, with its defaults; the `config.json` of a whole CLIP keeps it under
/// `vision_config`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClipVisionConfig {
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Width of the space that texts and images share.
    pub projection_dim: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Channels of a picture.
    pub num_channels: usize,
    /// Side of the pictures in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// The feed-forward activation.
    pub hidden_act: Activation,
    /// ε of the layer norms.
    pub layer_norm_eps: f64,
    /// The vision side in the configuration of a whole CLIP.
    pub vision_config: Option<Box<ClipVisionConfig>>,
}

impl ClipVisionConfig {
    /// The configuration of the vision side, wherever it was found; the projection of a whole CLIP is its own.
    pub(super) fn flat(self) -> Self {
        let projection_dim = self.projection_dim;
        match self.vision_config {
            Some(inner) => Self { projection_dim, ..*inner },
            None => self,
        }
    }
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            vision_config: None,
        }
    }
}
