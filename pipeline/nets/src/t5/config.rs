//! `config.json` of T5.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::activation::Activation;
use crate::generate::TokenIds;

/// transformers' `T5Config`, as far as it changes the computation.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct T5Config {
    /// `t5`.
    pub model_type: String,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of a hidden state.
    pub d_model: usize,
    /// Width of one head's keys, queries and values.
    pub d_kv: usize,
    /// Width of the feed-forward layer.
    pub d_ff: usize,
    /// Number of the encoder's blocks.
    pub num_layers: usize,
    /// Number of the decoder's blocks; the encoder's when absent.
    pub num_decoder_layers: Option<usize>,
    /// Heads of the attention.
    pub num_heads: usize,
    /// Number of distances that the position bias tells apart.
    pub relative_attention_num_buckets: usize,
    /// The distance from which on all share a bucket, in tokens.
    pub relative_attention_max_distance: usize,
    /// Epsilon of the norms.
    pub layer_norm_epsilon: f64,
    /// The feed-forward layer: an activation's name, with `gated-` before it for two products.
    pub feed_forward_proj: String,
    /// The activation, where it is not the one that `feed_forward_proj` names.
    pub dense_act_fn: Option<Activation>,
    /// Whether the layer is gated, where it is not as `feed_forward_proj` says.
    pub is_gated_act: Option<bool>,
    /// Padding.
    pub pad_token_id: Option<u32>,
    /// Ends a text.
    pub eos_token_id: Option<TokenIds>,
    /// Begins the text of a picture in BLIP-2.
    pub bos_token_id: Option<u32>,
    /// Begins every text that the decoder writes; `bos_token_id` when absent.
    pub decoder_start_token_id: Option<u32>,
    /// `false` for T5 1.1 and Flan-T5: the decoder's states are not scaled before the output layer.
    pub tie_word_embeddings: bool,
    /// Whether they are scaled, where that is not as `tie_word_embeddings` says.
    pub scale_decoder_outputs: Option<bool>,
}

impl Default for T5Config {
    fn default() -> Self {
        Self {
            model_type: "t5".to_owned(),
            vocab_size: 32128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_decoder_layers: None,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "relu".to_owned(),
            dense_act_fn: None,
            is_gated_act: None,
            pad_token_id: Some(0),
            eos_token_id: Some(TokenIds::One(1)),
            bos_token_id: None,
            decoder_start_token_id: None,
            tie_word_embeddings: true,
            scale_decoder_outputs: None,
        }
    }
}

/// The feed-forward layer that the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FeedForwardKind {
    pub activation: Activation,
    pub gated: bool,
}

impl T5Config {
    /// Number of the decoder's blocks.
    pub fn decoder_layers(&self) -> usize {
        self.num_decoder_layers.unwrap_or(self.num_layers)
    }

    /// Factor of the decoder's states before the output layer: 1/√d_model where the embedding is tied.
    pub(super) fn output_scale(&self) -> Option<f64> {
        let scaled = self.scale_decoder_outputs.unwrap_or(self.tie_word_embeddings);
        scaled.then(|| (self.d_model as f64).powf(-0.5))
    }

    /// The token that the decoder begins with.
    pub(crate) fn start_token(&self) -> Option<u32> {
        self.decoder_start_token_id.or(self.bos_token_id)
    }

    /// The feed-forward layer, or what is wrong with the configuration as field and message.
    pub(crate) fn check(&self) -> Result<FeedForwardKind, (&'static str, String)> {
        if self.model_type != "t5" {
            let message = format!("the model is `{}`, expected `t5`", self.model_type);
            return Err(("model_type", message));
        }
        if self.num_heads == 0 || self.d_kv == 0 {
            return Err(("num_heads", "there must be a head, and `d_kv` above 0".to_owned()));
        }
        // A quarter of the encoder's buckets are single distances, and there must be one.
        if self.relative_attention_num_buckets < 4 {
            let message = "there must be at least 4 buckets".to_owned();
            return Err(("relative_attention_num_buckets", message));
        }
        if self.relative_attention_max_distance <= self.relative_attention_num_buckets / 2 {
            let message = "must be above half the number of buckets".to_owned();
            return Err(("relative_attention_max_distance", message));
        }
        self.feed_forward()
    }

    fn feed_forward(&self) -> Result<FeedForwardKind, (&'static str, String)> {
        let bad = || {
            let message = format!(
                "cannot use `{}`, expected the name of an activation such as `relu`, or `gated-` and a name such as `gated-gelu`",
                self.feed_forward_proj
            );
            ("feed_forward_proj", message)
        };
        let (gated, name) = match self.feed_forward_proj.strip_prefix("gated-") {
            Some(name) => (true, name),
            None => (false, self.feed_forward_proj.as_str()),
        };
        let named = match (gated, name) {
            // Upstream keeps this name for the approximation that T5 1.1 was trained with.
            (true, "gelu") => Activation::GeluNew,
            _ => {
                let name: StrDeserializer<ValueError> = name.into_deserializer();
                Activation::deserialize(name).map_err(|_| bad())?
            }
        };
        Ok(FeedForwardKind {
            activation: self.dense_act_fn.unwrap_or(named),
            gated: self.is_gated_act.unwrap_or(gated),
        })
    }
}
