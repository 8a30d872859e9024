//! BLIP-2 on token ids: everything but the tokenizer.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor};

use super::network::{Blip2Network, Language};
use super::prompt::{Prompt, rows_differ};
use super::{Blip2Config, LanguageConfig, check};
use crate::error::{NetsError, Result};
use crate::generate::{GenerateOptions, Start, TokenBatch, generate, sequences};
use crate::weights::Weights;

/// transformers' `Blip2ForConditionalGeneration`.
#[derive(Debug)]
pub struct Blip2Model {
    network: Blip2Network,
    config: Blip2Config,
    device: Device,
}

impl Blip2Model {
    /// Loads configuration and weights from a checkpoint's folder.
    ///
    /// # Errors
    /// When a file is missing or damaged, weights and configuration do not belong together, or the
    /// language model is neither OPT nor T5.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = folder.as_ref().join("config.json");
        let config: Blip2Config = crate::config::read(&path)?;
        let kind = check::check(&config, &path)?;
        let weights = Weights::open(folder, "model")?;
        let network = Blip2Network::load(&weights.root(device), &config, kind)?;
        // Tied layers and index buffers are saved by some versions of transformers.
        weights.finish(&[
            "language_model.lm_head.weight",
            "language_model.encoder.embed_tokens.weight",
            "language_model.decoder.embed_tokens.weight",
            "*.position_ids",
        ])?;
        Ok(Self { network, config, device: device.clone() })
    }

    /// The configuration.
    pub fn config(&self) -> &Blip2Config {
        &self.config
    }

    /// The networks.
    pub fn network(&self) -> &Blip2Network {
        &self.network
    }

    /// The scores of every token, as transformers' `forward` gives them: normalised pixels
    /// `[batch, 3, height, width]` and a text of as many rows to `[batch, tokens, vocab_size]`.
    ///
    /// The text has a placeholder (`image_token_index`) for each query; a text without any is read without
    /// the picture, as upstream does. Where the configuration knows no placeholder the picture is put
    /// before the text, and its tokens have scores too. T5 reads the text in its encoder; its scores are
    /// those of `decoder_ids`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when shapes or ids do not fit, or T5 is given no `decoder_ids`.
    pub fn logits(&self, pixels: Tensor<4>, text: &TokenBatch, decoder_ids: Option<&TokenBatch>) -> Result<Tensor<3>> {
        let rows = text.rows();
        let Prompt { embeddings, tokens } = self.read(pixels, text)?;
        self.check_length(tokens.tokens())?;
        let scores = match (&self.network.language, decoder_ids) {
            (Language::Opt(language), _) => language.logits(embeddings, &tokens),
            (Language::T5(_), None) => {
                return Err(NetsError::input(
                    "a T5 language model gives the scores of `decoder_input_ids`, which are missing",
                ));
            }
            (Language::T5(language), Some(written)) => {
                if written.rows() != rows {
                    return Err(rows_differ("`decoder_input_ids`", written.rows(), rows));
                }
                let written = written.clone().doubled();
                let written = written.tensor(self.config.text_config.vocab_size(), &self.device)?;
                language.logits(embeddings, tokens.bias(f32::MIN, &self.device), written)
            }
        };
        Ok(scores.narrow(0, 0, rows))
    }

    /// The sequences that transformers' `generate(pixel_values, input_ids, attention_mask, …)` returns:
    /// for OPT the text's ids with the new tokens behind them, for T5 the decoder's first token and the new
    /// ones, all rows filled up to the longest.
    ///
    /// Without a text the pictures' placeholders and the token of a text's beginning are the prompt. The
    /// options' `prompt` is not looked at. Texts end at the language model's `eos_token_id`, since
    /// upstream does not read `generation_config.json` here, unless the options name other tokens.
    ///
    /// # Errors
    /// [`NetsError::Input`] when pictures, text or options cannot be used.
    pub fn sequences(
        &self,
        pixels: Tensor<4>,
        text: Option<&TokenBatch>,
        options: &GenerateOptions,
    ) -> Result<Vec<Vec<u32>>> {
        let text = match text {
            Some(text) => text.clone(),
            None => TokenBatch::new(vec![self.prompt(&self.begin_ids()); pixels.dims()[0]])?,
        };
        let language = &self.config.text_config;
        let end = options.end_tokens.as_deref().unwrap_or(language.end_tokens());
        let new = self.generate(pixels, &text, options, end)?;
        let prompts = match language {
            LanguageConfig::Opt(_) => text.ids().to_vec(),
            LanguageConfig::T5(_) => vec![vec![self.start_token()?]; text.rows()],
        };
        Ok(sequences(&prompts, new, options, language.padding_token(), end))
    }

    /// The new tokens of each text, with the one that ended it.
    pub(super) fn generate(
        &self,
        pixels: Tensor<4>,
        text: &TokenBatch,
        options: &GenerateOptions,
        end: &[u32],
    ) -> Result<Vec<Vec<u32>>> {
        options.check()?;
        let Prompt { embeddings, tokens } = self.read(pixels, text)?;
        match &self.network.language {
            Language::Opt(language) => {
                let positions = self.positions().unwrap_or(usize::MAX);
                options.check_length(tokens.tokens(), positions)?;
                let (memory, scores) = language.start(embeddings, &tokens);
                let texts = text.texts();
                generate(language, Start { memory, scores, texts: &texts, end }, options)
            }
            Language::T5(language) => {
                let (start, padding) = self.t5_start(&tokens)?;
                let (memory, scores) = language.start(embeddings, padding, start);
                let texts = vec![vec![self.start_token()?]; text.rows()];
                generate(language, Start { memory, scores, texts: &texts, end }, options)
            }
        }
    }

    /// The scores of the first new token, `[batch, vocab_size]`.
    pub(super) fn first_scores(&self, pixels: Tensor<4>, text: &TokenBatch) -> Result<Tensor<2>> {
        let Prompt { embeddings, tokens } = self.read(pixels, text)?;
        self.check_length(tokens.tokens())?;
        let scores = match &self.network.language {
            Language::Opt(language) => language.start(embeddings, &tokens).1,
            Language::T5(language) => {
                let (start, padding) = self.t5_start(&tokens)?;
                language.start(embeddings, padding, start).1
            }
        };
        Ok(scores.narrow(0, 0, text.rows()))
    }

    /// The placeholders of a picture and a text behind them.
    pub(super) fn prompt(&self, text: &[u32]) -> Vec<u32> {
        let queries = self.config.num_query_tokens;
        let picture = self.config.image_token_index.map(|image| vec![image; queries]);
        [picture.as_deref().unwrap_or_default(), text].concat()
    }

    /// The text of a picture that is described without one. Where a T5 has no token for it, it is what an
    /// empty text is tokenized to.
    pub(super) fn begin_ids(&self) -> Vec<u32> {
        match &self.config.text_config {
            LanguageConfig::Opt(config) => vec![config.bos_token_id],
            LanguageConfig::T5(config) => {
                config.bos_token_id.or(self.config.text_config.end_tokens().first().copied()).into_iter().collect()
            }
        }
    }

    /// What the language model reads of pictures and texts.
    fn read(&self, pixels: Tensor<4>, text: &TokenBatch) -> Result<Prompt> {
        if pixels.dims()[0] != text.rows() {
            return Err(rows_differ("the text", text.rows(), pixels.dims()[0]));
        }
        let picture = self.network.picture(pixels)?;
        // A placeholder's own embedding is never read, and need not exist.
        let image = self.config.image_token_index;
        let words = text
            .clone()
            .map(|id| if Some(id) == image { 0 } else { id })
            .tensor(self.config.text_config.vocab_size(), &self.device)?;
        Prompt::new(picture, self.network.embed(words), text, image)
    }

    /// Longest text of the language model, if it has such a limit.
    fn positions(&self) -> Option<usize> {
        match &self.config.text_config {
            LanguageConfig::Opt(config) => Some(config.max_position_embeddings),
            LanguageConfig::T5(_) => None,
        }
    }

    fn check_length(&self, tokens: usize) -> Result<()> {
        match self.positions().filter(|positions| tokens > *positions) {
            None => Ok(()),
            Some(positions) => Err(NetsError::input(format!(
                "a text of {tokens} tokens exceeds the language model's {positions} positions"
            ))),
        }
    }

    fn start_token(&self) -> Result<u32> {
        let token = match &self.config.text_config {
            LanguageConfig::Opt(_) => None,
            LanguageConfig::T5(config) => config.start_token(),
        };
        token.ok_or_else(|| {
            NetsError::input(
                "the configuration names no `text_config.decoder_start_token_id` for the decoder to begin with",
            )
        })
    }

    /// The decoder's first token in every row, and what hides the prompt's padding from it.
    fn t5_start(&self, tokens: &TokenBatch) -> Result<(Tensor<2, Int>, Option<Tensor<4>>)> {
        let start = TokenBatch::new(vec![vec![self.start_token()?]; tokens.rows()])?;
        let start = start.tensor(self.config.text_config.vocab_size(), &self.device)?;
        Ok((start, tokens.bias(f32::MIN, &self.device)))
    }
}
