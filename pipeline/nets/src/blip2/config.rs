//! `config.json` and `generation_config.json` of BLIP-2.

use serde::Deserialize;
use serde_json::Value;

use crate::activation::Activation;
use crate::generate::TokenIds;
use crate::t5::T5Config;

/// transformers' `Blip2Config`, as far as it changes the computation.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Blip2Config {
    /// The image encoder.
    pub vision_config: Blip2VisionConfig,
    /// The querying transformer between image and language.
    pub qformer_config: Blip2QFormerConfig,
    /// The language model.
    pub text_config: LanguageConfig,
    /// Tokens that stand for a picture in the language model's prompt.
    pub num_query_tokens: usize,
    /// The placeholder of those tokens; older checkpoints have none.
    #[serde(alias = "image_token_id")]
    pub image_token_index: Option<u32>,
}

impl Default for Blip2Config {
    fn default() -> Self {
        Self {
            vision_config: Blip2VisionConfig::default(),
            qformer_config: Blip2QFormerConfig::default(),
            text_config: LanguageConfig::default(),
            num_query_tokens: 32,
            image_token_index: None,
        }
    }
}

/// transformers' `Blip2VisionConfig`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Blip2VisionConfig {
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
    /// Whether queries and values have a bias.
    pub qkv_bias: bool,
}

impl Default for Blip2VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 1408,
            intermediate_size: 6144,
            num_hidden_layers: 39,
            num_attention_heads: 16,
            image_size: 224,
            patch_size: 14,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-6,
            qkv_bias: true,
        }
    }
}

/// transformers' `Blip2QFormerConfig`; the width of the image tokens is the vision model's.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Blip2QFormerConfig {
    /// Width of a query.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Width of the MLP's hidden layer.
    pub intermediate_size: usize,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Every so many layers, from the first on, the queries look at the image.
    pub cross_attention_frequency: usize,
    /// Width of the image tokens where the Q-Former stands alone; in BLIP-2 it is the vision model's.
    pub encoder_hidden_size: usize,
}

impl Default for Blip2QFormerConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            layer_norm_eps: 1e-12,
            cross_attention_frequency: 2,
            encoder_hidden_size: 1408,
        }
    }
}

/// The language model, chosen by `model_type` (`opt` when it is missing, as upstream).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub enum LanguageConfig {
    /// `opt`.
    Opt(OptConfig),
    /// `t5`, which Flan-T5 is too.
    T5(T5Config),
}

impl Default for LanguageConfig {
    fn default() -> Self {
        Self::Opt(OptConfig::default())
    }
}

impl TryFrom<Value> for LanguageConfig {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let kind = value.get("model_type").cloned();
        let text = |error: serde_json::Error| error.to_string();
        match kind.as_ref().map_or(Some("opt"), Value::as_str) {
            Some("opt") => serde_json::from_value(value).map(Self::Opt).map_err(text),
            Some("t5") => serde_json::from_value(value).map(Self::T5).map_err(text),
            _ => Err(format!(
                "the language model is `{}`, expected `opt` or `t5`",
                kind.as_ref().map_or("", |kind| kind.as_str().unwrap_or("no text"))
            )),
        }
    }
}

impl LanguageConfig {
    /// Width of a word's embedding.
    pub fn word_dim(&self) -> usize {
        match self {
            Self::Opt(config) => config.word_dim(),
            Self::T5(config) => config.d_model,
        }
    }

    /// Number of tokens.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Opt(config) => config.vocab_size,
            Self::T5(config) => config.vocab_size,
        }
    }

    /// The tokens that end a text.
    pub(super) fn end_tokens(&self) -> &[u32] {
        let tokens = match self {
            Self::Opt(config) => config.eos_token_id.as_ref(),
            Self::T5(config) => config.eos_token_id.as_ref(),
        };
        tokens.map_or(&[], TokenIds::as_slice)
    }

    /// What finished texts are filled with.
    pub(super) fn padding_token(&self) -> Option<u32> {
        match self {
            Self::Opt(config) => config.pad_token_id,
            Self::T5(config) => config.pad_token_id,
        }
    }
}

/// transformers' `OPTConfig`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct OptConfig {
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Width of the MLP's hidden layer.
    pub ffn_dim: usize,
    /// Longest sequence, prompt included.
    pub max_position_embeddings: usize,
    /// Whether the norms come before the attention and the MLP.
    pub do_layer_norm_before: bool,
    /// Drops the last norm, for old fine-tuned checkpoints.
    #[serde(rename = "_remove_final_layer_norm")]
    pub remove_final_layer_norm: bool,
    /// Width of a word's embedding; the hidden size when absent.
    pub word_embed_proj_dim: Option<usize>,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Activation of the MLP.
    pub activation_function: Activation,
    /// Padding.
    pub pad_token_id: Option<u32>,
    /// Begins every text.
    pub bos_token_id: u32,
    /// Ends a caption, unless `generation_config.json` says otherwise.
    pub eos_token_id: Option<TokenIds>,
    /// Whether the linear layers have a bias.
    pub enable_bias: bool,
    /// Whether the norms have weights.
    pub layer_norm_elementwise_affine: bool,
    /// Whether the output layer is the transposed embedding.
    pub tie_word_embeddings: bool,
}

impl Default for OptConfig {
    fn default() -> Self {
        Self {
            vocab_size: 50272,
            hidden_size: 768,
            num_hidden_layers: 12,
            ffn_dim: 3072,
            max_position_embeddings: 2048,
            do_layer_norm_before: true,
            remove_final_layer_norm: false,
            word_embed_proj_dim: None,
            num_attention_heads: 12,
            activation_function: Activation::Relu,
            pad_token_id: Some(1),
            bos_token_id: 2,
            eos_token_id: Some(TokenIds::One(2)),
            enable_bias: true,
            layer_norm_elementwise_affine: true,
            tie_word_embeddings: true,
        }
    }
}

impl OptConfig {
    /// Width of a word's embedding.
    pub fn word_dim(&self) -> usize {
        self.word_embed_proj_dim.unwrap_or(self.hidden_size)
    }
}
