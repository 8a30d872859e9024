//! `config.json` and `generation_config.json` of BLIP-2.

use serde::Deserialize;

use crate::activation::Activation;

/// transformers' `Blip2Config` with an OPT language model, as far as it changes the computation.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Blip2Config {
    /// The image encoder.
    pub vision_config: Blip2VisionConfig,
    /// The querying transformer between image and language.
    pub qformer_config: Blip2QFormerConfig,
    /// The language model.
    pub text_config: OptConfig,
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
            text_config: OptConfig::default(),
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
        }
    }
}

/// transformers' `OPTConfig`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct OptConfig {
    /// Which language model this is; only `opt` can be loaded.
    pub model_type: String,
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
    pub pad_token_id: u32,
    /// Begins every text.
    pub bos_token_id: u32,
    /// Ends a caption, unless `generation_config.json` says otherwise.
    pub eos_token_id: TokenIds,
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
            model_type: "opt".to_owned(),
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
            pad_token_id: 1,
            bos_token_id: 2,
            eos_token_id: TokenIds::One(2),
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

/// The part of `generation_config.json` that decides where a caption ends.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct GenerationConfig {
    pub eos_token_id: Option<TokenIds>,
}

/// One token or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// One token.
    One(u32),
    /// Any of these.
    Any(Vec<u32>),
}

impl TokenIds {
    /// The tokens.
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Any(ids) => ids,
        }
    }
}
