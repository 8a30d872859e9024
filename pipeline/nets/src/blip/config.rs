//! `config.json` of BLIP.

use serde::Deserialize;

use crate::activation::Activation;
use crate::blip2::Blip2VisionConfig;
use crate::generate::TokenIds;

/// transformers' `BlipConfig`, as far as it changes the captioner.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BlipConfig {
    /// The image encoder.
    pub vision_config: BlipVisionConfig,
    /// The text decoder, whose output layer is the transposed embedding unless the file has its own.
    pub text_config: BlipTextConfig,
}

/// transformers' `BlipVisionConfig`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct BlipVisionConfig {
    /// Width of a token.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Side of a picture in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
}

impl Default for BlipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 384,
            patch_size: 16,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl BlipVisionConfig {
    /// The same network as BLIP-2's image encoder: only the defaults differ.
    pub(super) fn network(&self) -> Blip2VisionConfig {
        Blip2VisionConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            image_size: self.image_size,
            patch_size: self.patch_size,
            hidden_act: self.hidden_act,
            layer_norm_eps: self.layer_norm_eps,
            qkv_bias: true,
        }
    }
}

/// transformers' `BlipTextConfig`; the width of the image tokens is the vision model's.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct BlipTextConfig {
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Longest text in tokens, prompt included.
    pub max_position_embeddings: usize,
    /// Activation of the MLP and of the output layer.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Begins every text (`[DEC]`).
    pub bos_token_id: u32,
    /// Padding.
    pub pad_token_id: Option<u32>,
    /// Ends a text (`[SEP]`).
    pub sep_token_id: TokenIds,
    /// Whether the layers look at the image; a captioner's do.
    pub is_decoder: bool,
}

impl Default for BlipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30524,
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 512,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            bos_token_id: 30522,
            pad_token_id: Some(0),
            sep_token_id: TokenIds::One(102),
            is_decoder: true,
        }
    }
}

impl BlipConfig {
    /// What is wrong with the configuration, as field and message.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let (vision, text) = (&self.vision_config, &self.text_config);
        let parts = [
            ("vision_config", vision.hidden_size, vision.num_attention_heads),
            ("text_config", text.hidden_size, text.num_attention_heads),
        ];
        for (part, dim, heads) in parts {
            if heads == 0 || !dim.is_multiple_of(heads) {
                let message = format!("{dim} channels do not divide into {heads} heads");
                return Err((format!("{part}.num_attention_heads"), message));
            }
        }
        if vision.patch_size == 0 || !vision.image_size.is_multiple_of(vision.patch_size) {
            let (image, patch) = (vision.image_size, vision.patch_size);
            let message = format!("{image} pixels do not divide into patches of {patch}");
            return Err(("vision_config.patch_size".to_owned(), message));
        }
        if !text.is_decoder {
            let message = "`false`: the text model does not look at the image, so it cannot describe it";
            return Err(("text_config.is_decoder".to_owned(), message.to_owned()));
        }
        Ok(())
    }
}
