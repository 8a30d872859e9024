//! BLIP-2 with an OPT or T5 language model: the captioner.
//!
//! A vision transformer reads the picture, a few learned queries read the transformer's tokens, and their
//! projections stand at the head of the language model's prompt.

mod check;
mod config;
mod model;
mod network;
mod opt;
mod parts;
mod prompt;
mod qformer;
pub(crate) mod vision;

use std::path::Path;

use burn::tensor::{Device, Tensor};

use crate::error::Result;
use crate::generate::{GenerateOptions, GenerationConfig, TokenBatch};
use crate::tokenizer::{TextTokenizer, TokenizerKind};
pub use config::{Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, LanguageConfig, OptConfig};
pub use model::Blip2Model;
pub use network::Blip2Network;
pub use parts::{Blip2Queries, Blip2Vision};

/// transformers' `Blip2ForConditionalGeneration` with its tokenizer.
#[derive(Debug)]
pub struct Blip2 {
    model: Blip2Model,
    tokenizer: TextTokenizer,
    end: Vec<u32>,
}

impl Blip2 {
    /// Loads configuration, tokenizer and weights from a checkpoint's folder.
    ///
    /// A caption ends at `eos_token_id` of `generation_config.json`, or else of the language model's
    /// configuration.
    ///
    /// # Errors
    /// When a file is missing or damaged, weights and configuration do not belong together, or the
    /// language model is neither OPT nor T5.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let model = Blip2Model::load(folder, device)?;
        let text = &model.config().text_config;
        let kind = match text {
            LanguageConfig::Opt(_) => TokenizerKind::Gpt2,
            LanguageConfig::T5(_) => TokenizerKind::T5,
        };
        let end = GenerationConfig::load(folder)?
            .eos_token_id
            .map_or(text.end_tokens().to_vec(), |end| end.as_slice().to_vec());
        let tokenizer = TextTokenizer::load(folder, kind)?;
        Ok(Self { model, tokenizer, end })
    }

    /// The configuration.
    pub fn config(&self) -> &Blip2Config {
        self.model.config()
    }

    /// The model below the tokenizer.
    pub fn model(&self) -> &Blip2Model {
        &self.model
    }

    /// The networks.
    pub fn network(&self) -> &Blip2Network {
        self.model.network()
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// The same prompt for each picture, as `Blip2Processor` makes it: a placeholder for each query, then
    /// the text with the token that begins it (OPT) or ends it (T5).
    fn prompt(&self, pictures: usize, text: &str) -> Result<TokenBatch> {
        let text = match (text, &self.config().text_config) {
            ("", _) => self.model.begin_ids(),
            (text, LanguageConfig::Opt(config)) => [vec![config.bos_token_id], self.tokenizer.encode(text)?].concat(),
            (text, LanguageConfig::T5(_)) => {
                let end = self.config().text_config.end_tokens().iter().take(1).copied();
                self.tokenizer.encode(text)?.into_iter().chain(end).collect()
            }
        };
        TokenBatch::new(vec![self.model.prompt(&text); pictures])
    }

    /// The scores of the first new token, `[batch, vocab_size]`, after the pictures and a text.
    ///
    /// # Errors
    /// [`NetsError::Input`](crate::NetsError::Input) when the pictures cannot be used.
    pub fn first_scores(&self, pixels: Tensor<4>, text: &str) -> Result<Tensor<2>> {
        let prompt = self.prompt(pixels.dims()[0], text)?;
        self.model.first_scores(pixels, &prompt)
    }

    /// The new tokens of each picture, with the one that ended the caption.
    ///
    /// Normalised pixels are `[batch, 3, height, width]`. All prompts have the same length, so nothing is
    /// padded and a picture's caption does not depend on its neighbours in the batch.
    ///
    /// # Errors
    /// [`NetsError::Input`](crate::NetsError::Input) when the pictures or options cannot be used.
    pub fn generate(&self, pixels: Tensor<4>, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
        let prompt = self.prompt(pixels.dims()[0], &options.prompt)?;
        let end = options.end_tokens.as_deref().unwrap_or(&self.end);
        self.model.generate(pixels, &prompt, options, end)
    }

    /// A caption for each picture of `[batch, 3, height, width]` normalised pixels, trimmed.
    ///
    /// # Errors
    /// As [`Blip2::generate`].
    pub fn caption(&self, pixels: Tensor<4>, options: &GenerateOptions) -> Result<Vec<String>> {
        let generated = self.generate(pixels, options)?;
        let end = options.end_tokens.as_deref().unwrap_or(&self.end);
        generated.iter().map(|tokens| self.text(tokens, end)).collect()
    }

    fn text(&self, tokens: &[u32], end: &[u32]) -> Result<String> {
        let config = self.config();
        let begin = self.model.begin_ids();
        let special = |id: u32| {
            end.contains(&id)
                || begin.contains(&id)
                || Some(id) == config.text_config.padding_token()
                || Some(id) == config.image_token_index
        };
        let words: Vec<u32> = tokens.iter().copied().filter(|id| !special(*id)).collect();
        Ok(self.tokenizer.decode(&words)?.trim().to_owned())
    }
}
