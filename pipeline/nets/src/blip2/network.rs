//! The networks of BLIP-2.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Int, Tensor};

use super::opt::Opt;
use super::qformer::QFormer;
use super::vision::VisionModel;
use super::{Blip2Config, LanguageConfig};
use crate::error::{NetsError, Result};
use crate::layers::linear;
use crate::t5::{FeedForwardKind, T5};
use crate::weights::Scope;

/// The networks of transformers' `Blip2ForConditionalGeneration`.
#[derive(Module, Debug)]
pub struct Blip2Network {
    vision: VisionModel,
    query_tokens: Param<Tensor<3>>,
    qformer: QFormer,
    projection: Linear,
    pub(super) language: Language,
    image_dim: usize,
}

/// The language models that BLIP-2 was trained with.
#[derive(Module, Debug)]
pub(super) enum Language {
    Opt(Opt),
    T5(T5),
}

impl Blip2Network {
    /// `kind` is the feed-forward layer where the language model is T5.
    pub(super) fn load(scope: &Scope, config: &Blip2Config, kind: Option<FeedForwardKind>) -> Result<Self> {
        let query_dim = config.qformer_config.hidden_size;
        let image_dim = config.vision_config.hidden_size;
        let projection = LinearConfig::new(query_dim, config.text_config.word_dim());
        let language = scope.enter("language_model");
        Ok(Self {
            vision: VisionModel::load(&scope.enter("vision_model"), &config.vision_config)?,
            query_tokens: scope.param("query_tokens", [1, config.num_query_tokens, query_dim])?,
            qformer: QFormer::load(&scope.enter("qformer"), &config.qformer_config, image_dim)?,
            projection: linear(scope, "language_projection", &projection)?,
            language: match &config.text_config {
                LanguageConfig::Opt(config) => Language::Opt(Opt::load(&language, config)?),
                LanguageConfig::T5(config) => Language::T5(T5::load(&language, config, kind.unwrap_or_default())?),
            },
            image_dim,
        })
    }

    /// `Blip2VisionModel`: normalised pixels `[batch, 3, height, width]` to the last hidden state
    /// `[batch, 1 + patches, vision_dim]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the picture does not divide into patches.
    pub fn image_tokens(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        self.vision.forward(pixels)
    }

    /// `Blip2QFormerModel` with the learned queries: image tokens `[batch, tokens, vision_dim]` (its
    /// `encoder_hidden_states`) to the last hidden state `[batch, queries, query_dim]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the tokens are not as wide as the vision model's.
    pub fn query_states(&self, image_tokens: Tensor<3>) -> Result<Tensor<3>> {
        let [batch, _, width] = image_tokens.dims();
        if width != self.image_dim {
            return Err(NetsError::input(format!("image tokens are {width} wide, expected {}", self.image_dim)));
        }
        let queries = self.query_tokens.val().repeat_dim(0, batch);
        Ok(self.qformer.forward(queries, image_tokens))
    }

    /// What stands for pictures `[batch, 3, height, width]` in the language model,
    /// `[batch, queries, word_dim]`.
    pub(super) fn picture(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let states = self.query_states(self.image_tokens(pixels)?)?;
        Ok(self.projection.forward(states))
    }

    /// Token ids `[rows, tokens]` to embeddings `[rows, tokens, word_dim]`.
    pub(super) fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        match &self.language {
            Language::Opt(language) => language.embed(ids),
            Language::T5(language) => language.embed(ids),
        }
    }
}
