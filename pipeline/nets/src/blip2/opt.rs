//! The OPT language model with a cache of keys and values.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Int, Tensor};

use super::OptConfig;
use crate::activation::Activation;
use crate::attention::{attend_on_past, merge_heads, split_heads};
use crate::error::Result;
use crate::generate::{Decoder, KeyValues, Memory, Padding, Positions, TokenBatch};
use crate::layers::{embedding, layer_norm, linear, scores};
use crate::weights::Scope;

/// OPT's position table begins two rows before position zero.
const POSITION_OFFSET: usize = 2;

/// What OPT remembers of what it has read.
#[derive(Debug, Clone)]
pub(super) struct OptMemory {
    keys: KeyValues,
    padding: Option<Padding>,
}

impl Memory for OptMemory {
    fn select(&mut self, rows: &Tensor<1, Int>) {
        self.keys.select(rows);
        if let Some(padding) = &mut self.padding {
            padding.select(rows);
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
            (words != dim).then(|| linear(&decoder, name, &LinearConfig::new(from, to).with_bias(false))).transpose()
        };
        let last_norm = config.do_layer_norm_before && !config.remove_final_layer_norm;
        let positions = EmbeddingConfig::new(config.max_position_embeddings + POSITION_OFFSET, dim);
        let head = LinearConfig::new(words, config.vocab_size).with_bias(false);
        // As upstream: a file with an output layer of its own has an untied one, whatever it is called.
        let own_head = scope.contains("lm_head.weight")
            && !scope.same_bytes("lm_head.weight", "model.decoder.embed_tokens.weight")
            || !config.tie_word_embeddings;
        Ok(Self {
            words: embedding(&decoder, "embed_tokens", &EmbeddingConfig::new(config.vocab_size, words))?,
            positions: embedding(&decoder, "embed_positions", &positions)?,
            project_in: projection("project_in", words, dim)?,
            layers: (0..config.num_hidden_layers)
                .map(|index| Layer::load(&decoder.enter("layers").enter(index), config))
                .collect::<Result<_>>()?,
            norm: last_norm.then(|| norm(&decoder, "final_layer_norm", config)).transpose()?,
            project_out: projection("project_out", dim, words)?,
            head: own_head.then(|| linear(scope, "lm_head", &head)).transpose()?,
        })
    }

    /// Token ids `[rows, tokens]` to embeddings `[rows, tokens, word_dim]`.
    pub(super) fn embed(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.words.forward(ids)
    }

    /// Reads a prompt of embeddings `[rows, tokens, word_dim]`; gives what OPT remembers of it and the scores
    /// of the token that follows the last one, `[rows, vocab_size]`. Only the mask of `prompt` is looked at.
    pub(super) fn start(&self, embeddings: Tensor<3>, prompt: &TokenBatch) -> (OptMemory, Tensor<2>) {
        let device = embeddings.device();
        let mut memory =
            OptMemory { keys: KeyValues::default(), padding: Padding::of(prompt, f32::NEG_INFINITY, &device) };
        let positions = prompt.positions(Positions::AtFirst, &device);
        let bias = prompt.causal_bias(f32::NEG_INFINITY, &device);
        let x = self.read(embeddings, positions, bias, &mut memory.keys);
        (memory, self.last_scores(x))
    }

    /// Embeddings `[rows, tokens, word_dim]` to the scores of the token after each,
    /// `[rows, tokens, vocab_size]`. Only the mask of `prompt` is looked at.
    pub(super) fn logits(&self, embeddings: Tensor<3>, prompt: &TokenBatch) -> Tensor<3> {
        let device = embeddings.device();
        let positions = prompt.positions(Positions::BeforeText, &device);
        let bias = prompt.causal_bias(f32::NEG_INFINITY, &device);
        let x = self.read(embeddings, positions, bias, &mut KeyValues::default());
        self.scores(x)
    }

    /// Reads embeddings after what the cache holds; gives their states `[rows, tokens, dim]`.
    fn read(
        &self,
        embeddings: Tensor<3>,
        positions: Tensor<2, Int>,
        bias: Option<Tensor<4>>,
        keys: &mut KeyValues,
    ) -> Tensor<3> {
        let x = match &self.project_in {
            Some(layer) => layer.forward(embeddings),
            None => embeddings,
        };
        let x = x + self.positions.forward(positions + POSITION_OFFSET as i64);
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (index, layer)| layer.forward(x, index, &bias, keys))
    }

    /// The scores of the token that follows the last one, `[rows, vocab_size]`.
    fn last_scores(&self, x: Tensor<3>) -> Tensor<2> {
        let [rows, tokens, _] = x.dims();
        let scores = self.scores(x.narrow(1, tokens - 1, 1));
        let [_, _, width] = scores.dims();
        scores.reshape([rows, width])
    }

    /// States `[rows, tokens, dim]` to scores `[rows, tokens, vocab_size]`.
    fn scores(&self, x: Tensor<3>) -> Tensor<3> {
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = match &self.project_out {
            Some(layer) => layer.forward(x),
            None => x,
        };
        scores(x, self.head.as_ref(), &self.words)
    }
}

impl Decoder for Opt {
    type Memory = OptMemory;

    fn step(&self, tokens: Tensor<2, Int>, memory: &mut OptMemory) -> Tensor<2> {
        let read = memory.keys.tokens();
        let (positions, bias) = Padding::next(&mut memory.padding, read, &tokens.device());
        let x = self.read(self.embed(tokens), positions, bias, &mut memory.keys);
        self.last_scores(x)
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
        let layer = |input: usize, output: usize| LinearConfig::new(input, output).with_bias(config.enable_bias);
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

    fn forward(&self, x: Tensor<3>, index: usize, bias: &Option<Tensor<4>>, keys: &mut KeyValues) -> Tensor<3> {
        let x = self.around(x, &self.attention_norm, |x| self.attention(x, index, bias, keys));
        self.around(x, &self.norm, |x| self.fc2.forward(self.activation.forward(self.fc1.forward(x))))
    }

    /// Adds what `inner` makes of the input, with the norm before it or after the sum.
    fn around(&self, x: Tensor<3>, norm: &LayerNorm, inner: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        match self.norm_first {
            true => x.clone() + inner(norm.forward(x)),
            false => norm.forward(x.clone() + inner(x)),
        }
    }

    fn attention(&self, x: Tensor<3>, index: usize, bias: &Option<Tensor<4>>, keys: &mut KeyValues) -> Tensor<3> {
        let split = |layer: &Linear| split_heads(layer.forward(x.clone()), self.heads);
        let (key, value) = keys.extend(index, split(&self.key), split(&self.value));
        let attended = attend_on_past(split(&self.query), key, value, bias.clone());
        self.output.forward(merge_heads(attended))
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
