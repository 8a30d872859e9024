//! BLIP's text decoder: BERT that reads from left to right and looks at the image in every layer.

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Int, Tensor};

use super::BlipTextConfig;
use super::layer::Layer;
use crate::activation::Activation;
use crate::error::Result;
use crate::generate::{Decoder, KeyValues, Memory, Padding, Positions, TokenBatch};
use crate::layers::{embedding, layer_norm, linear, scores};
use crate::weights::Scope;

/// What hides padding. Upstream adds this rather than minus infinity, so that padding before a text, which
/// sees nothing, looks at everything alike.
const HIDDEN: f32 = f32::MIN;

/// transformers' `BlipTextLMHeadModel`.
#[derive(Module, Debug)]
pub(super) struct TextDecoder {
    words: Embedding,
    positions: Embedding,
    norm: LayerNorm,
    layers: Vec<Layer>,
    dense: Linear,
    dense_norm: LayerNorm,
    /// The output layer when it is not the transposed embedding.
    head: Option<Linear>,
    head_bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

/// What the decoder remembers: what it has read, and the image.
#[derive(Debug, Clone)]
pub(super) struct TextMemory {
    written: KeyValues,
    image: KeyValues,
    padding: Option<Padding>,
}

impl Memory for TextMemory {
    fn select(&mut self, rows: &Tensor<1, Int>) {
        self.written.select(rows);
        self.image.select(rows);
        if let Some(padding) = &mut self.padding {
            padding.select(rows);
        }
    }
}

impl TextDecoder {
    /// `image_dim` is the width of the image tokens.
    pub(super) fn load(scope: &Scope, config: &BlipTextConfig, image_dim: usize) -> Result<Self> {
        let (dim, vocabulary) = (config.hidden_size, config.vocab_size);
        let norm = LayerNormConfig::new(dim).with_epsilon(config.layer_norm_eps);
        let (embeddings, predictions) = (scope.enter("bert.embeddings"), scope.enter("cls.predictions"));
        let transform = predictions.enter("transform");
        // As upstream: a file with an output layer of its own has an untied one, whatever it is called.
        let head = "cls.predictions.decoder.weight";
        let own_head = scope.contains(head) && !scope.same_bytes(head, "bert.embeddings.word_embeddings.weight");
        let head = LinearConfig::new(dim, vocabulary).with_bias(false);
        let bias = match predictions.contains("decoder.bias") {
            true => "decoder.bias",
            false => "bias",
        };
        Ok(Self {
            words: embedding(&embeddings, "word_embeddings", &EmbeddingConfig::new(vocabulary, dim))?,
            positions: embedding(
                &embeddings,
                "position_embeddings",
                &EmbeddingConfig::new(config.max_position_embeddings, dim),
            )?,
            norm: layer_norm(&embeddings, "LayerNorm", &norm)?,
            layers: (0..config.num_hidden_layers)
                .map(|index| {
                    let scope = scope.enter("bert.encoder.layer").enter(index);
                    Layer::load(&scope, config, image_dim)
                })
                .collect::<Result<_>>()?,
            dense: linear(&transform, "dense", &LinearConfig::new(dim, dim))?,
            dense_norm: layer_norm(&transform, "LayerNorm", &norm)?,
            head: own_head.then(|| linear(&predictions, "decoder", &head)).transpose()?,
            head_bias: predictions.param(bias, [vocabulary])?,
            activation: config.hidden_act,
        })
    }

    /// Looks at image tokens `[rows, image_tokens, image_dim]` and reads a prompt's ids `[rows, tokens]`,
    /// padded as `prompt` says; gives what is remembered of both and the scores of the next token
    /// `[rows, vocab_size]`.
    pub(super) fn start(&self, image: &Tensor<3>, ids: Tensor<2, Int>, prompt: &TokenBatch) -> (TextMemory, Tensor<2>) {
        let device = ids.device();
        let mut memory = self.memory(image);
        memory.padding = Padding::of(prompt, HIDDEN, &device);
        let positions = prompt.positions(Positions::AtFirst, &device);
        let x = self.read(ids, positions, prompt.causal_bias(HIDDEN, &device), &mut memory);
        (memory, self.last_scores(x))
    }

    /// As [`TextDecoder::start`], but gives the scores of the token after each, `[rows, tokens, vocab_size]`.
    /// Padding has positions of its own here, as upstream's `forward` does not look at the mask for them.
    pub(super) fn logits(&self, image: &Tensor<3>, ids: Tensor<2, Int>, prompt: &TokenBatch) -> Tensor<3> {
        let device = ids.device();
        let tokens = ids.dims()[1];
        let positions = Tensor::<1, Int>::arange(0..tokens as i64, &device).unsqueeze();
        let bias = prompt.causal_bias(HIDDEN, &device);
        let x = self.read(ids, positions, bias, &mut self.memory(image));
        self.scores(x)
    }

    /// The memory of a decoder that has read nothing yet.
    fn memory(&self, image: &Tensor<3>) -> TextMemory {
        let mut keys = KeyValues::default();
        for (index, layer) in self.layers.iter().enumerate() {
            let (key, value) = layer.image_keys(image);
            keys.extend(index, key, value);
        }
        TextMemory { written: KeyValues::default(), image: keys, padding: None }
    }

    /// Reads tokens after those that the memory holds; gives their states `[rows, new, dim]`.
    fn read(
        &self,
        ids: Tensor<2, Int>,
        positions: Tensor<2, Int>,
        bias: Option<Tensor<4>>,
        memory: &mut TextMemory,
    ) -> Tensor<3> {
        let x = self.words.forward(ids) + self.positions.forward(positions);
        let x = self.norm.forward(x);
        let layers = self.layers.iter().enumerate();
        layers.fold(x, |x, (index, layer)| {
            let x = layer.look_back(x, index, &bias, &mut memory.written);
            layer.look_at(x, memory.image.get(index))
        })
    }

    /// The scores of the token that follows the last one, `[rows, vocab_size]`.
    fn last_scores(&self, x: Tensor<3>) -> Tensor<2> {
        let [rows, tokens, _] = x.dims();
        let scores = self.scores(x.narrow(1, tokens - 1, 1));
        let [_, _, width] = scores.dims();
        scores.reshape([rows, width])
    }

    fn scores(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.activation.forward(self.dense.forward(x));
        let x = self.dense_norm.forward(x);
        scores(x, self.head.as_ref(), &self.words) + self.head_bias.val().unsqueeze()
    }
}

impl Decoder for TextDecoder {
    type Memory = TextMemory;

    fn step(&self, tokens: Tensor<2, Int>, memory: &mut TextMemory) -> Tensor<2> {
        let read = memory.written.tokens();
        let (positions, bias) = Padding::next(&mut memory.padding, read, &tokens.device());
        let x = self.read(tokens, positions, bias, memory);
        self.last_scores(x)
    }
}
