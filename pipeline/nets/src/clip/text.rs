//! Upstream `CLIPTextModel`.

use std::path::Path;

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::ClipTextConfig;
use super::layer::{Layer, LayerSizes};
use super::tokenizer::TokenizedPrompt;
use crate::attention::Visibility;
use crate::error::{NetsError, Result};
use crate::weights::Scope;
use crate::{Weights, config, layers};

/// The text encoder.
#[derive(Module, Debug)]
pub struct ClipTextModel {
    token_embedding: Embedding,
    position_embedding: Embedding,
    layers: Vec<Layer>,
    final_layer_norm: LayerNorm,
    #[module(skip)]
    end: i64,
}

impl ClipTextModel {
    /// Reads `config.json` and `model.safetensors` in `folder`.
    ///
    /// # Errors
    /// When a file is missing, damaged, or does not belong to the other.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("config.json");
        let config: ClipTextConfig = config::read(&path)?;
        let (width, heads) = (config.hidden_size, config.num_attention_heads);
        if heads == 0 || !width.is_multiple_of(heads) {
            return Err(NetsError::Config {
                path,
                field: "num_attention_heads".to_owned(),
                message: format!("{heads} does not divide a width of {width}"),
            });
        }
        let weights = Weights::open(folder, "model")?;
        let root = weights.root(device);
        let prefixed = weights.names().any(|name| name.starts_with("text_model."));
        let scope = if prefixed { root.enter("text_model") } else { root };
        let model = Self::from_scope(&scope, &config)?;
        // A full CLIP saves its projection beside the encoder; old versions save position ids.
        weights.finish(&["*position_ids", "text_projection.weight"])?;
        Ok(model)
    }

    fn from_scope(scope: &Scope<'_>, config: &ClipTextConfig) -> Result<Self> {
        let width = config.hidden_size;
        let sizes = LayerSizes {
            width,
            inner: config.intermediate_size,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
            eps: config.layer_norm_eps,
        };
        let embeddings = scope.enter("embeddings");
        let embedding = |name, rows| layers::embedding(&embeddings, name, &EmbeddingConfig::new(rows, width));
        let encoder = scope.enter("encoder").enter("layers");
        Ok(Self {
            token_embedding: embedding("token_embedding", config.vocab_size)?,
            position_embedding: embedding("position_embedding", config.max_position_embeddings)?,
            layers: (0..config.num_hidden_layers)
                .map(|i| Layer::from_scope(&encoder.enter(i), &sizes))
                .collect::<Result<_>>()?,
            final_layer_norm: layers::layer_norm(scope, "final_layer_norm", &sizes.norm())?,
            end: config.eos_token_id,
        })
    }

    /// Hidden states after the final layer norm.
    ///
    /// `ids` `[batch, tokens]`, each below the vocabulary's size and no more tokens than positions; gives
    /// `[batch, tokens, hidden_size]`. Attention is causal and padding is not masked, as upstream.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, tokens] = ids.dims();
        let positions = self.position_embedding.weight.val().narrow(0, 0, tokens);
        let mut hidden = self.token_embedding.forward(ids) + positions.unsqueeze::<3>();
        for layer in &self.layers {
            hidden = layer.forward(hidden, Visibility::Causal);
        }
        self.final_layer_norm.forward(hidden)
    }

    /// The state of each text's end token (upstream `pooler_output`), `[batch, hidden_size]`, out of
    /// `hidden` `[batch, tokens, hidden_size]`; `ids` are the tokens row by row.
    ///
    /// # Errors
    /// When there are not as many ids as states.
    pub fn pooled(&self, hidden: Tensor<3>, ids: &[i64]) -> Result<Tensor<2>> {
        let [batch, tokens, width] = hidden.dims();
        if ids.len() != batch * tokens || ids.is_empty() {
            return Err(NetsError::input(format!("{} token ids for {batch} texts of {tokens} tokens", ids.len())));
        }
        let rows: Vec<i64> =
            ids.chunks(tokens).enumerate().map(|(text, ids)| (text * tokens + self.end_of(ids)) as i64).collect();
        let rows = Tensor::from_data(TensorData::new(rows, [batch]), &hidden.device());
        Ok(hidden.reshape([batch * tokens, width]).select(0, rows))
    }

    /// The position of the end token, zero without one.
    fn end_of(&self, ids: &[i64]) -> usize {
        // Files from before transformers 4.30 state 2 by mistake: the end token has the largest id.
        let end = match self.end {
            2 => ids.iter().copied().max().unwrap_or(2),
            end => end,
        };
        ids.iter().position(|id| *id == end).unwrap_or(0)
    }

    /// Whether token ids of this shape can be taken.
    ///
    /// # Errors
    /// When the prompts are longer than the model's positions or hold ids outside its vocabulary, which
    /// means that tokenizer and encoder are not of the same checkpoint.
    pub fn check(&self, ids: &[i64], [_, tokens]: [usize; 2]) -> Result<()> {
        let [vocabulary, _] = self.token_embedding.weight.dims();
        let [positions, _] = self.position_embedding.weight.dims();
        if tokens == 0 || tokens > positions {
            return Err(NetsError::input(format!("prompts of {tokens} tokens, expected 1 to {positions}")));
        }
        match ids.iter().find(|id| !(0..vocabulary as i64).contains(*id)) {
            None => Ok(()),
            Some(id) => {
                Err(NetsError::input(format!("token {id} is outside the text encoder's vocabulary of {vocabulary}")))
            }
        }
    }

    /// Hidden states of tokenized prompts of one length: `[prompts, tokens, hidden_size]`.
    ///
    /// # Errors
    /// When the prompts differ in length, and as [`check`](Self::check).
    pub fn encode(&self, prompts: &[TokenizedPrompt]) -> Result<Tensor<3>> {
        let tokens = prompts.first().map_or(0, |prompt| prompt.ids.len());
        if prompts.iter().any(|prompt| prompt.ids.len() != tokens) {
            return Err(NetsError::input("prompts must all have one length"));
        }
        let ids: Vec<i64> = prompts.iter().flat_map(|prompt| &prompt.ids).map(|id| i64::from(*id)).collect();
        self.check(&ids, [prompts.len(), tokens])?;
        let data = TensorData::new(ids, [prompts.len(), tokens]);
        let device = self.token_embedding.weight.device();
        Ok(self.forward(Tensor::from_data(data, &device)))
    }
}
