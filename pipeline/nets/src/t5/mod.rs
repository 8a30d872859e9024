//! T5: the encoder by itself, and the encoder-decoder that is the language model of some BLIP-2.

mod block;
mod config;
mod decoder;
mod encoder;
mod relative;

use std::path::Path;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Int, Tensor};

use crate::error::{NetsError, Result};
use crate::generate::Decoder as Decode;
use crate::layers::embedding;
use crate::weights::Scope;
pub(crate) use config::FeedForwardKind;
pub use config::T5Config;
pub(crate) use decoder::T5Memory;
pub use encoder::T5Encoder;

/// transformers' `T5ForConditionalGeneration`, which reads embeddings.
#[derive(Module, Debug)]
pub(crate) struct T5 {
    encoder: T5Encoder,
    decoder: decoder::Decoder,
    words: Embedding,
}

impl T5 {
    pub(crate) fn load(scope: &Scope, config: &T5Config, kind: FeedForwardKind) -> Result<Self> {
        let words = shared_words(scope, config)?;
        let read = words_of(scope, "encoder", &words, config)?;
        let written = words_of(scope, "decoder", &words, config)?;
        Ok(Self {
            words,
            encoder: T5Encoder::from_scope(scope, config, kind, read)?,
            decoder: decoder::Decoder::load(scope, config, kind, written)?,
        })
    }

    /// Token ids `[rows, tokens]` to embeddings `[rows, tokens, d_model]`.
    pub(crate) fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.words.forward(ids)
    }

    /// Reads a prompt's embeddings `[rows, tokens, d_model]` and the first token of the decoder; gives its
    /// memory and the scores of the next token `[rows, vocab_size]`.
    pub(crate) fn start(
        &self,
        embeddings: Tensor<3>,
        padding: Option<Tensor<4>>,
        start: Tensor<2, Int>,
    ) -> (T5Memory, Tensor<2>) {
        let encoded = self.encoder.encode(embeddings, padding.clone());
        let mut memory = self.decoder.memory(&encoded, padding);
        let scores = self.decoder.step(start, &mut memory);
        (memory, scores)
    }

    /// A prompt's embeddings and the decoder's tokens `[rows, written]` to the scores of the token after
    /// each, `[rows, written, vocab_size]`.
    pub(crate) fn logits(
        &self,
        embeddings: Tensor<3>,
        padding: Option<Tensor<4>>,
        written: Tensor<2, Int>,
    ) -> Tensor<3> {
        let encoded = self.encoder.encode(embeddings, padding.clone());
        let mut memory = self.decoder.memory(&encoded, padding);
        self.decoder.scores(self.decoder.read(written, &mut memory))
    }
}

impl Decode for T5 {
    type Memory = T5Memory;

    fn step(&self, tokens: Tensor<2, Int>, memory: &mut T5Memory) -> Tensor<2> {
        self.decoder.step(tokens, memory)
    }
}

/// The words that all stacks share. Files that were saved without sharing name them in one of several ways.
fn shared_words(scope: &Scope, config: &T5Config) -> Result<Embedding> {
    let size = EmbeddingConfig::new(config.vocab_size, config.d_model);
    let names = ["shared", "encoder.embed_tokens", "decoder.embed_tokens", "lm_head"];
    let found = |name: &&str| scope.contains(&format!("{name}.weight"));
    embedding(scope, names.into_iter().find(found).unwrap_or("shared"), &size)
}

/// The words of the `encoder` or `decoder`: its own where the file has others than the shared ones.
fn words_of(scope: &Scope, stack: &str, shared: &Embedding, config: &T5Config) -> Result<Embedding> {
    let own = format!("{stack}.embed_tokens.weight");
    if !scope.contains("shared.weight") || !scope.contains(&own) || scope.same_bytes(&own, "shared.weight") {
        return Ok(shared.clone());
    }
    let size = EmbeddingConfig::new(config.vocab_size, config.d_model);
    embedding(&scope.enter(stack), "embed_tokens", &size)
}

/// A bad field of the configuration, in `parent` if that is not empty.
pub(crate) fn bad_field(path: &Path, parent: &str, (field, message): (&str, String)) -> NetsError {
    let dot = if parent.is_empty() { "" } else { "." };
    NetsError::Config { path: path.to_owned(), field: format!("{parent}{dot}{field}"), message }
}
