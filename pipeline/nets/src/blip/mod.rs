//! BLIP, the smaller captioner: a vision transformer and a text decoder that looks at its tokens.

mod config;
mod layer;
mod model;
mod text;

use std::path::Path;

use burn::tensor::{Device, Tensor};

use crate::error::Result;
use crate::generate::GenerateOptions;
use crate::tokenizer::{TextTokenizer, TokenizerKind};
pub use config::{BlipConfig, BlipTextConfig, BlipVisionConfig};
pub use model::BlipModel;

/// transformers' `BlipForConditionalGeneration` with its tokenizer.
#[derive(Debug)]
pub struct Blip {
    model: BlipModel,
    tokenizer: TextTokenizer,
}

impl Blip {
    /// Loads configuration, tokenizer and weights from a checkpoint's folder. A caption ends at
    /// `text_config.sep_token_id`, as upstream's `generate` has it.
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        Ok(Self {
            model: BlipModel::load(folder, device)?,
            tokenizer: TextTokenizer::load(folder, TokenizerKind::Bert)?,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &BlipConfig {
        self.model.config()
    }

    /// The model below the tokenizer.
    pub fn model(&self) -> &BlipModel {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &TextTokenizer {
        &self.tokenizer
    }

    /// The new tokens of each picture of `[batch, 3, height, width]` normalised pixels, with the one that
    /// ended the caption.
    ///
    /// # Errors
    /// [`NetsError::Input`](crate::NetsError::Input) when the pictures or options cannot be used.
    pub fn generate(&self, pixels: Tensor<4>, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
        let text = self.tokenizer.encode(&options.prompt)?;
        let prompt = self.model.prompt(pixels.dims()[0], &text)?;
        self.model.generate(pixels, &prompt, options)
    }

    /// A caption for each picture of `[batch, 3, height, width]` normalised pixels, trimmed.
    ///
    /// # Errors
    /// As [`Blip::generate`].
    pub fn caption(&self, pixels: Tensor<4>, options: &GenerateOptions) -> Result<Vec<String>> {
        let generated = self.generate(pixels, options)?;
        let (config, end) = (&self.config().text_config, self.model.end(options));
        let special = |id: u32| end.contains(&id) || id == config.bos_token_id || Some(id) == config.pad_token_id;
        let text = |tokens: &Vec<u32>| {
            let words: Vec<u32> = tokens.iter().copied().filter(|id| !special(*id)).collect();
            Ok(self.tokenizer.decode(&words)?.trim().to_owned())
        };
        generated.iter().map(text).collect()
    }
}
