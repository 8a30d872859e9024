//! T5's encoder.

use std::path::Path;

use burn::module::Module;
use burn::nn::{Embedding, RmsNorm};
use burn::tensor::{Device, Int, Tensor};

use super::block::{Attention, FeedForward, norm};
use super::config::FeedForwardKind;
use super::relative::{Direction, RelativeBias};
use super::{T5Config, bad_field, shared_words, words_of};
use crate::error::Result;
use crate::generate::TokenBatch;
use crate::weights::{Scope, Weights};

/// transformers' `T5EncoderModel`.
#[derive(Module, Debug)]
pub struct T5Encoder {
    words: Embedding,
    positions: RelativeBias,
    blocks: Vec<Block>,
    norm: RmsNorm,
    vocabulary: usize,
}

#[derive(Module, Debug)]
struct Block {
    attention: Attention,
    feed_forward: FeedForward,
}

impl T5Encoder {
    /// Loads `config.json` and the encoder's weights from the folder of a `T5EncoderModel` or a
    /// `T5ForConditionalGeneration`, whose decoder is left aside.
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = folder.as_ref().join("config.json");
        let config: T5Config = crate::config::read(&path)?;
        let kind = config.check().map_err(|bad| bad_field(&path, "", bad))?;
        let weights = Weights::open(folder, "model")?;
        let scope = weights.root(device);
        let words = words_of(&scope, "encoder", &shared_words(&scope, &config)?, &config)?;
        let encoder = Self::from_scope(&scope, &config, kind, words)?;
        weights.finish(&["decoder.*", "lm_head.weight", "*embed_tokens.weight", "shared.weight"])?;
        Ok(encoder)
    }

    pub(super) fn from_scope(
        scope: &Scope,
        config: &T5Config,
        kind: FeedForwardKind,
        words: Embedding,
    ) -> Result<Self> {
        let scope = scope.enter("encoder");
        let block = |index: usize| {
            let layers = scope.enter("block").enter(index).enter("layer");
            Ok(Block {
                attention: Attention::load(&layers.enter(0), "SelfAttention", config)?,
                feed_forward: FeedForward::load(&layers.enter(1), config, kind)?,
            })
        };
        let first = scope.enter("block.0.layer.0.SelfAttention");
        Ok(Self {
            words,
            positions: RelativeBias::load(&first, config, Direction::Both)?,
            blocks: (0..config.num_layers).map(block).collect::<Result<_>>()?,
            norm: norm(&scope, "final_layer_norm", config)?,
            vocabulary: config.vocab_size,
        })
    }

    /// Token ids and their mask to the last hidden state `[rows, tokens, d_model]`. Padding is not seen.
    ///
    /// # Errors
    /// [`NetsError::Input`](crate::NetsError::Input) when an id is not one of the vocabulary.
    pub fn forward(&self, text: &TokenBatch) -> Result<Tensor<3>> {
        let device = self.words.weight.device();
        let words = self.embed(text.tensor(self.vocabulary, &device)?);
        Ok(self.encode(words, text.bias(f32::MIN, &device)))
    }

    /// Token ids `[rows, tokens]` to embeddings `[rows, tokens, d_model]`.
    pub(crate) fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.words.forward(ids)
    }

    /// Embeddings `[rows, tokens, d_model]` to the last hidden state; `padding` is added to the scores,
    /// `[rows, 1, 1, tokens]`.
    pub(crate) fn encode(&self, embeddings: Tensor<3>, padding: Option<Tensor<4>>) -> Tensor<3> {
        let tokens = embeddings.dims()[1];
        let bias = self.positions.forward(0, tokens);
        let bias = match padding {
            Some(padding) => bias + padding,
            None => bias,
        };
        let x = self.blocks.iter().fold(embeddings, |x, block| {
            let normed = block.attention.norm(&x);
            let keys = block.attention.keys(&normed);
            let x = block.attention.forward(x, normed, keys, &bias);
            block.feed_forward.forward(x)
        });
        self.norm.forward(x)
    }
}
