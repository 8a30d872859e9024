//! The OPT language model with a cache of keys and values.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Int, Tensor};

use super::OptConfig;
use crate::activation::Activation;
use crate::attention::{Visibility, attend, merge_heads, split_heads};
use crate::error::Result;
use crate::layers::{embedding, layer_norm, linear};
use crate::weights::Scope;

/// OPT's position table begins two rows before position zero.
const POSITION_OFFSET: usize = 2;

/// Keys and values of the tokens that have been read.
#[derive(Debug, Clone, Default)]
pub(super) struct Cache {
    /// For each layer `[rows, heads, tokens, head_dim]`.
    layers: Vec<(Tensor<4>, Tensor<4>)>,
}

impl Cache {
    /// Number of tokens that have been read.
    fn tokens(&self) -> usize {
        self.layers.first().map_or(0, |(key, _)| key.dims()[2])
    }

    /// Keeps the given rows in the given order; a row may be taken more than once.
    pub(super) fn select(&mut self, rows: Tensor<1, Int>) {
        for (key, value) in &mut self.layers {
            *key = key.clone().select(0, rows.clone());
            *value = value.clone().select(0, rows.clone());
        }
    }
}

/// transformers' `OPTForCausalLM`.
#[derive(Module, Debug)]
pub(super) struct Opt {
    words: Embedding,
    positions: Embedding,
    project_in: Option<Linear>,
    layers: Vec<Layer>,
    norm: Option<LayerNorm>,
    project_out: Option<Linear>,
    /// The output layer when it is not the transposed embedding.
    head: Option<Linear>,
}

impl Opt {
    pub(super) fn load(scope: &Scope, config: &OptConfig) -> Result<Self> {
        let (dim, words) = (config.hidden_size, config.word_dim());
        let decoder = scope.enter("model.decoder");
        let projection = |name: &str, from: usize, to: usize| {
            (words != dim)
                .then(|| {
                    linear(
                        &decoder,
                        name,
                        &LinearConfig::new(from, to).with_bias(false),
                    )
                })
                .transpose()
        };
        let last_norm = config.do_layer_norm_before && !config.remove_final_layer_norm;
        let positions = EmbeddingConfig::new(config.max_position_embeddings + POSITION_OFFSET, dim);
        let head = LinearConfig::new(words, config.vocab_size).with_bias(false);
        Ok(Self {
            words: embedding(
                &decoder,
                "embed_tokens",
                &EmbeddingConfig::new(config.vocab_size, words),
            )?,
            positions: embedding(&decoder, "embed_positions", &positions)?,
            project_in: projection("project_in", words, dim)?,
            layers: (0..config.num_hidden_layers)
                .map(|index| Layer::load(&decoder.enter("layers").enter(index), config))
                .collect::<Result<_>>()?,
            norm: last_norm
                .then(|| norm(&decoder, "final_layer_norm", config))
                .transpose()?,
            project_out: projection("project_out", dim, words)?,
            head: (!config.tie_word_embeddings)
                .then(|| linear(scope, "lm_head", &head))
                .transpose()?,
        })
    }

    /// Token ids `[rows, tokens]` to embeddings `[rows, tokens, word_dim]`.
    pub(super) fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.words.forward(ids)
    }

    /// Reads embeddings `[rows, tokens, word_dim]` after what the cache holds; gives the scores of the
    /// token that follows the last one, `[rows, vocab_size]`.
    ///
    /// After the first call the cache takes one token at a time.
    pub(super) fn forward(&self, embeddings: Tensor<3>, cache: &mut Cache) -> Tensor<2> {
        let [rows, tokens, _] = embeddings.dims();
        let device = embeddings.device();
        let first = cache.tokens() + POSITION_OFFSET;
        let ids = Tensor::<1, Int>::arange(first as i64..(first + tokens) as i64, &device)
            .unsqueeze::<2>();
        let x = match &self.project_in {
            Some(layer) => layer.forward(embeddings),
            None => embeddings,
        };
        let mut x = x + self.positions.forward(ids);
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, index, cache);
        }
        // [rows, 1, dim]
        let last = x.narrow(1, tokens - 1, 1);
        let last = match &self.norm {
            Some(norm) => norm.forward(last),
            None => last,
        };
        let last = match &self.project_out {
            Some(layer) => layer.forward(last),
            None => last,
        };
        let [_, _, width] = last.dims();
        self.scores(last.reshape([rows, width]))
    }

    /// The scores of every token, `[rows, word_dim]` to `[rows, vocab_size]`.
    fn scores(&self, last: Tensor<2>) -> Tensor<2> {
        let rows = last.dims()[0];
        // A product with a single row is added up in another order; see `generate::greedy`.
        let last = if rows == 1 {
            last.repeat_dim(0, 2)
        } else {
            last
        };
        let scores = match &self.head {
            Some(head) => head.forward(last),
            None => last.matmul(self.words.weight.val().transpose()),
        };
        scores.narrow(0, 0, rows)
    }
}

/// transformers' `OPTDecoderLayer`.
#[derive(Module, Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    attention_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
    heads: usize,
    norm_first: bool,
}

impl Layer {
    fn load(scope: &Scope, config: &OptConfig) -> Result<Self> {
        let dim = config.hidden_size;
        let layer = |input: usize, output: usize| {
            LinearConfig::new(input, output).with_bias(config.enable_bias)
        };
        let attention = scope.enter("self_attn");
        let square = layer(dim, dim);
        Ok(Self {
            query: linear(&attention, "q_proj", &square)?,
            key: linear(&attention, "k_proj", &square)?,
            value: linear(&attention, "v_proj", &square)?,
            output: linear(&attention, "out_proj", &square)?,
            attention_norm: norm(scope, "self_attn_layer_norm", config)?,
            fc1: linear(scope, "fc1", &layer(dim, config.ffn_dim))?,
            fc2: linear(scope, "fc2", &layer(config.ffn_dim, dim))?,
            norm: norm(scope, "final_layer_norm", config)?,
            activation: config.activation_function,
            heads: config.num_attention_heads,
            norm_first: config.do_layer_norm_before,
        })
    }

    fn forward(&self, x: Tensor<3>, index: usize, cache: &mut Cache) -> Tensor<3> {
        let x = self.around(x, &self.attention_norm, |x| self.attention(x, index, cache));
        self.around(x, &self.norm, |x| {
            self.fc2
                .forward(self.activation.forward(self.fc1.forward(x)))
        })
    }

    /// Adds what `inner` makes of the input, with the norm before it or after the sum.
    fn around(
        &self,
        x: Tensor<3>,
        norm: &LayerNorm,
        inner: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        match self.norm_first {
            true => x.clone() + inner(norm.forward(x)),
            false => norm.forward(x.clone() + inner(x)),
        }
    }

    fn attention(&self, x: Tensor<3>, index: usize, cache: &mut Cache) -> Tensor<3> {
        let split = |layer: &Linear| split_heads(layer.forward(x.clone()), self.heads);
        let (query, mut key, mut value) =
            (split(&self.query), split(&self.key), split(&self.value));
        let visibility = match cache.layers.get(index) {
            None => Visibility::Causal,
            Some((old_key, old_value)) => {
                key = Tensor::cat(vec![old_key.clone(), key], 2);
                value = Tensor::cat(vec![old_value.clone(), value], 2);
                // A single new token sees all that came before it.
                Visibility::All
            }
        };
        let entry = (key.clone(), value.clone());
        match cache.layers.get_mut(index) {
            Some(slot) => *slot = entry,
            None => cache.layers.push(entry),
        }
        self.output
            .forward(merge_heads(attend(query, key, value, visibility)))
    }
}

/// OPT's norms use PyTorch's default epsilon, and may have no weights.
fn norm(scope: &Scope, name: &str, config: &OptConfig) -> Result<LayerNorm> {
    let norm = LayerNormConfig::new(config.hidden_size).with_epsilon(1e-5);
    match config.layer_norm_elementwise_affine {
        true => layer_norm(scope, name, &norm),
        false => Ok(norm.init(scope.device())),
    }
}
