//! BLIP on token ids: everything but the tokenizer.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::BlipConfig;
use super::text::TextDecoder;
use crate::blip2::vision::VisionModel;
use crate::error::{NetsError, Result};
use crate::generate::{GenerateOptions, Start, TokenBatch, generate, sequences};
use crate::weights::Weights;

/// transformers' `BlipForConditionalGeneration`.
#[derive(Debug)]
pub struct BlipModel {
    network: Network,
    config: BlipConfig,
    device: Device,
}

#[derive(Module, Debug)]
struct Network {
    vision: VisionModel,
    text: TextDecoder,
}

impl BlipModel {
    /// Loads configuration and weights from a checkpoint's folder.
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = folder.as_ref().join("config.json");
        let config: BlipConfig = crate::config::read(&path)?;
        config.check().map_err(|(field, message)| NetsError::Config { path, field, message })?;
        let weights = Weights::open(folder, "model")?;
        let scope = weights.root(device);
        let image_dim = config.vision_config.hidden_size;
        let vision = config.vision_config.network();
        let network = Network {
            vision: VisionModel::load(&scope.enter("vision_model"), &vision)?,
            text: TextDecoder::load(&scope.enter("text_decoder"), &config.text_config, image_dim)?,
        };
        // Tied layers and index buffers are saved by some versions of transformers.
        weights.finish(&[
            "text_decoder.cls.predictions.bias",
            "text_decoder.cls.predictions.decoder.weight",
            "*.position_ids",
        ])?;
        Ok(Self { network, config, device: device.clone() })
    }

    /// The configuration.
    pub fn config(&self) -> &BlipConfig {
        &self.config
    }

    /// `BlipVisionModel`: normalised pixels `[batch, 3, height, width]` to the last hidden state
    /// `[batch, 1 + patches, vision_dim]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the picture does not divide into patches.
    pub fn image_tokens(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        self.network.vision.forward(pixels)
    }

    /// The scores of every token, as transformers' `forward` gives them: normalised pixels
    /// `[batch, 3, height, width]` and a text of as many rows to `[batch, tokens, vocab_size]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when shapes or ids do not fit.
    pub fn logits(&self, pixels: Tensor<4>, text: &TokenBatch) -> Result<Tensor<3>> {
        let rows = text.rows();
        self.check_length(text.tokens())?;
        let (image, text) = self.both(pixels, text)?;
        let ids = text.tensor(self.config.text_config.vocab_size, &self.device)?;
        Ok(self.network.text.logits(&image, ids, &text).narrow(0, 0, rows))
    }

    /// The sequences that transformers' `generate(pixel_values, input_ids, attention_mask, …)` returns.
    ///
    /// Of the text the last token is dropped, which upstream takes for `[SEP]`, and the first becomes
    /// `bos_token_id`; without a text that token is the prompt. What is left comes first in each row, then
    /// the new tokens; rows are filled up to the longest. The options' `prompt` is not looked at.
    ///
    /// # Errors
    /// [`NetsError::Input`] when pictures, text or options cannot be used.
    pub fn sequences(
        &self,
        pixels: Tensor<4>,
        text: Option<&TokenBatch>,
        options: &GenerateOptions,
    ) -> Result<Vec<Vec<u32>>> {
        let config = &self.config.text_config;
        let text = match text {
            Some(text) if text.tokens() < 2 => {
                return Err(NetsError::input("a text needs a first and a last token, which are replaced and dropped"));
            }
            Some(text) => text.clone().without_last().with_first(config.bos_token_id),
            None => self.prompt(pixels.dims()[0], &[])?,
        };
        let end = self.end(options);
        let new = self.generate(pixels, &text, options)?;
        Ok(sequences(text.ids(), new, options, config.pad_token_id, end))
    }

    /// The prompt of as many pictures: the beginning of text, then `text`.
    pub(super) fn prompt(&self, pictures: usize, text: &[u32]) -> Result<TokenBatch> {
        let ids = [&[self.config.text_config.bos_token_id], text].concat();
        TokenBatch::new(vec![ids; pictures])
    }

    /// The tokens that end a text.
    pub(super) fn end<'o>(&'o self, options: &'o GenerateOptions) -> &'o [u32] {
        let own = self.config.text_config.sep_token_id.as_slice();
        options.end_tokens.as_deref().unwrap_or(own)
    }

    /// The new tokens of each text, with the one that ended it.
    pub(super) fn generate(
        &self,
        pixels: Tensor<4>,
        prompt: &TokenBatch,
        options: &GenerateOptions,
    ) -> Result<Vec<Vec<u32>>> {
        let (config, end) = (&self.config.text_config, self.end(options));
        options.check_length(prompt.tokens(), config.max_position_embeddings)?;
        // Upstream takes padding tokens for padding where it is given no mask.
        let prompt = match config.pad_token_id.filter(|padding| !end.contains(padding)) {
            Some(padding) => prompt.clone().hide(padding),
            None => prompt.clone(),
        };
        let texts = prompt.texts();
        let (image, prompt) = self.both(pixels, &prompt)?;
        let ids = prompt.tensor(config.vocab_size, &self.device)?;
        let (memory, scores) = self.network.text.start(&image, ids, &prompt);
        let start = Start { memory, scores, texts: &texts, end };
        generate(&self.network.text, start, options)
    }

    /// Image tokens and text in equal rows; a lone one is there twice, as [`TokenBatch::doubled`] says.
    fn both(&self, pixels: Tensor<4>, text: &TokenBatch) -> Result<(Tensor<3>, TokenBatch)> {
        let [pictures, ..] = pixels.dims();
        if pictures != text.rows() {
            return Err(NetsError::input(format!("the text has {} rows, expected {pictures}", text.rows())));
        }
        let image = self.image_tokens(pixels)?;
        let image = if pictures == 1 { image.repeat_dim(0, 2) } else { image };
        Ok((image, text.clone().doubled()))
    }

    fn check_length(&self, tokens: usize) -> Result<()> {
        let positions = self.config.text_config.max_position_embeddings;
        if tokens > positions {
            return Err(NetsError::input(format!(
                "a text of {tokens} tokens exceeds the language model's {positions} positions"
            )));
        }
        Ok(())
    }
}
