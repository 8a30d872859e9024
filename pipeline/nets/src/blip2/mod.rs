//! BLIP-2 with an OPT language model: the captioner.
//!
//! A vision transformer reads the picture, a few learned queries read the transformer's tokens, and their
//! projections stand at the head of the language model's prompt.

mod beam;
mod config;
mod generate;
mod opt;
mod qformer;
mod tokenizer;
mod vision;

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::error::{NetsError, Result};
use crate::layers::linear;
use crate::weights::{Scope, Weights};
pub use config::{Blip2Config, Blip2QFormerConfig, Blip2VisionConfig, OptConfig, TokenIds};
pub use generate::{EarlyStopping, GenerateOptions};
pub use tokenizer::Gpt2Tokenizer;

/// The networks of transformers' `Blip2ForConditionalGeneration`.
#[derive(Module, Debug)]
pub struct Blip2Network {
    vision: vision::VisionModel,
    query_tokens: Param<Tensor<3>>,
    qformer: qformer::QFormer,
    projection: Linear,
    language: opt::Opt,
}

impl Blip2Network {
    fn load(scope: &Scope, config: &Blip2Config) -> Result<Self> {
        let query_dim = config.qformer_config.hidden_size;
        let image_dim = config.vision_config.hidden_size;
        let projection = LinearConfig::new(query_dim, config.text_config.word_dim());
        Ok(Self {
            vision: vision::VisionModel::load(&scope.enter("vision_model"), &config.vision_config)?,
            query_tokens: scope.param("query_tokens", [1, config.num_query_tokens, query_dim])?,
            qformer: qformer::QFormer::load(
                &scope.enter("qformer"),
                &config.qformer_config,
                image_dim,
            )?,
            projection: linear(scope, "language_projection", &projection)?,
            language: opt::Opt::load(&scope.enter("language_model"), &config.text_config)?,
        })
    }

    /// Normalised pixels `[batch, 3, height, width]` to the vision model's last hidden state
    /// `[batch, 1 + patches, vision_dim]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the picture does not divide into patches.
    pub fn image_tokens(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        self.vision.forward(pixels)
    }

    /// Image tokens to the queries' last hidden state `[batch, queries, query_dim]`.
    pub fn query_states(&self, image_tokens: Tensor<3>) -> Tensor<3> {
        let queries = self
            .query_tokens
            .val()
            .repeat_dim(0, image_tokens.dims()[0]);
        self.qformer.forward(queries, image_tokens)
    }
}

/// transformers' `Blip2ForConditionalGeneration` with its tokenizer.
#[derive(Debug)]
pub struct Blip2 {
    network: Blip2Network,
    config: Blip2Config,
    tokenizer: Gpt2Tokenizer,
    end: Vec<u32>,
    device: Device,
}

impl Blip2 {
    /// Loads configuration, tokenizer and weights from a checkpoint's folder.
    ///
    /// A caption ends at `eos_token_id` of `generation_config.json`, or else of the language model's
    /// configuration.
    ///
    /// # Errors
    /// When a file is missing or damaged, weights and configuration do not belong together, or the
    /// language model is not OPT.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("config.json");
        let config: Blip2Config = crate::config::read(&path)?;
        check(&config, &path)?;
        let generation: config::GenerationConfig =
            crate::config::read_or_default(folder.join("generation_config.json"))?;
        let end = generation
            .eos_token_id
            .as_ref()
            .unwrap_or(&config.text_config.eos_token_id)
            .as_slice()
            .to_vec();
        let tokenizer = Gpt2Tokenizer::load(folder)?;
        let weights = Weights::open(folder, "model")?;
        let network = Blip2Network::load(&weights.root(device), &config)?;
        // The tied output layer and index buffers are saved by some versions of transformers.
        weights.finish(&["language_model.lm_head.weight", "*.position_ids"])?;
        Ok(Self {
            network,
            config,
            tokenizer,
            end,
            device: device.clone(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Blip2Config {
        &self.config
    }

    /// The networks.
    pub fn network(&self) -> &Blip2Network {
        &self.network
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Gpt2Tokenizer {
        &self.tokenizer
    }

    /// The prompt's token ids: a placeholder for each query, the beginning of text, then `text`.
    fn prompt_ids(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = match self.config.image_token_index {
            Some(image) => vec![image; self.config.num_query_tokens],
            None => Vec::new(),
        };
        ids.push(self.config.text_config.bos_token_id);
        if !text.is_empty() {
            ids.extend(self.tokenizer.encode(text)?);
        }
        Ok(ids)
    }

    /// What the language model reads before it writes: the pictures' queries, then the text's words.
    fn embeddings(&self, pixels: Tensor<4>, ids: &[u32]) -> Result<Tensor<3>> {
        let states = self
            .network
            .query_states(self.network.image_tokens(pixels)?);
        let picture = self.network.projection.forward(states);
        let placeholder = self.config.image_token_index;
        let text: Vec<i64> = ids
            .iter()
            .filter(|id| Some(**id) != placeholder)
            .map(|id| i64::from(*id))
            .collect();
        let count = text.len();
        let text = Tensor::<2, Int>::from_data(TensorData::new(text, [1, count]), &self.device);
        let text = self
            .network
            .language
            .embed(text)
            .repeat_dim(0, picture.dims()[0]);
        Ok(Tensor::cat(vec![picture, text], 1))
    }

    /// The scores of the first new token, `[batch, vocab_size]`, after the pictures and a text.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the pictures cannot be used.
    pub fn first_scores(&self, pixels: Tensor<4>, text: &str) -> Result<Tensor<2>> {
        let embeddings = self.embeddings(pixels, &self.prompt_ids(text)?)?;
        Ok(self
            .network
            .language
            .forward(embeddings, &mut opt::Cache::default()))
    }

    /// The new tokens of each picture, with the one that ended the caption.
    ///
    /// Normalised pixels are `[batch, 3, height, width]`. All prompts have the same length, so nothing is
    /// padded and a picture's caption does not depend on its neighbours in the batch.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the pictures or options cannot be used.
    pub fn generate(&self, pixels: Tensor<4>, options: &GenerateOptions) -> Result<Vec<Vec<u32>>> {
        let ids = self.prompt_ids(&options.prompt)?;
        let placeholders = self
            .config
            .image_token_index
            .map_or(self.config.num_query_tokens, |_| 0);
        options.check(
            ids.len() + placeholders,
            self.config.text_config.max_position_embeddings,
        )?;
        let embeddings = self.embeddings(pixels, &ids)?;
        generate::generate(
            &self.network.language,
            generate::Prompt {
                embeddings,
                ids: &ids,
                end: &self.end,
            },
            options,
        )
    }

    /// A caption for each picture of `[batch, 3, height, width]` normalised pixels, trimmed.
    ///
    /// # Errors
    /// As [`Blip2::generate`].
    pub fn caption(&self, pixels: Tensor<4>, options: &GenerateOptions) -> Result<Vec<String>> {
        let generated = self.generate(pixels, options)?;
        generated.iter().map(|tokens| self.text(tokens)).collect()
    }

    fn text(&self, tokens: &[u32]) -> Result<String> {
        let text = &self.config.text_config;
        let special = |id: u32| {
            self.end.contains(&id)
                || id == text.bos_token_id
                || id == text.pad_token_id
                || Some(id) == self.config.image_token_index
        };
        let words: Vec<u32> = tokens.iter().copied().filter(|id| !special(*id)).collect();
        Ok(self.tokenizer.decode(&words)?.trim().to_owned())
    }
}

fn check(config: &Blip2Config, path: &Path) -> Result<()> {
    let bad = |field: &str, message: String| {
        Err(NetsError::Config {
            path: path.to_owned(),
            field: field.to_owned(),
            message,
        })
    };
    if config.text_config.model_type != "opt" {
        return bad(
            "text_config.model_type",
            format!(
                "the language model is `{}`, expected `opt`",
                config.text_config.model_type
            ),
        );
    }
    let (vision, qformer, text) = (
        &config.vision_config,
        &config.qformer_config,
        &config.text_config,
    );
    let parts = [
        (
            "vision_config",
            vision.hidden_size,
            vision.num_attention_heads,
        ),
        (
            "qformer_config",
            qformer.hidden_size,
            qformer.num_attention_heads,
        ),
        ("text_config", text.hidden_size, text.num_attention_heads),
    ];
    for (part, dim, heads) in parts {
        if heads == 0 || dim % heads != 0 {
            return bad(
                &format!("{part}.num_attention_heads"),
                format!("{dim} channels do not divide into {heads} heads"),
            );
        }
    }
    if vision.patch_size == 0 || vision.image_size % vision.patch_size != 0 {
        return bad(
            "vision_config.patch_size",
            format!(
                "{} pixels do not divide into patches of {}",
                vision.image_size, vision.patch_size
            ),
        );
    }
    Ok(())
}
