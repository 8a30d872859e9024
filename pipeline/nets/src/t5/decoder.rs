//! T5's decoder with its output layer.

use burn::module::Module;
use burn::nn::{Embedding, Linear, LinearConfig, RmsNorm};
use burn::tensor::{Int, Tensor, TensorData};

use super::T5Config;
use super::block::{Attention, FeedForward, norm};
use super::config::FeedForwardKind;
use super::relative::{Direction, RelativeBias};
use crate::error::Result;
use crate::generate::{KeyValues, Memory};
use crate::layers::{linear, scores};
use crate::weights::Scope;

/// The decoder of transformers' `T5ForConditionalGeneration`.
#[derive(Module, Debug)]
pub(super) struct Decoder {
    words: Embedding,
    positions: RelativeBias,
    blocks: Vec<Block>,
    norm: RmsNorm,
    /// The output layer when it is not the transposed embedding.
    head: Option<Linear>,
    scale: Option<f64>,
}

#[derive(Module, Debug)]
struct Block {
    own: Attention,
    cross: Attention,
    feed_forward: FeedForward,
}

/// What the decoder remembers: what it has written, and what the encoder read.
#[derive(Debug, Clone)]
pub(crate) struct T5Memory {
    written: KeyValues,
    read: KeyValues,
    /// Added to the scores of what the encoder read, `[rows or 1, 1, 1, tokens]`.
    padding: Tensor<4>,
}

impl Memory for T5Memory {
    fn select(&mut self, rows: &Tensor<1, Int>) {
        self.written.select(rows);
        self.read.select(rows);
        if self.padding.dims()[0] > 1 {
            self.padding = self.padding.clone().select(0, rows.clone());
        }
    }
}

impl Decoder {
    pub(super) fn load(scope: &Scope, config: &T5Config, kind: FeedForwardKind, words: Embedding) -> Result<Self> {
        let decoder = scope.enter("decoder");
        let block = |index: usize| {
            let layers = decoder.enter("block").enter(index).enter("layer");
            Ok(Block {
                own: Attention::load(&layers.enter(0), "SelfAttention", config)?,
                cross: Attention::load(&layers.enter(1), "EncDecAttention", config)?,
                feed_forward: FeedForward::load(&layers.enter(2), config, kind)?,
            })
        };
        let first = decoder.enter("block.0.layer.0.SelfAttention");
        // Upstream ties the layer wherever the file has none of its own, whatever the configuration says.
        let head = LinearConfig::new(config.d_model, config.vocab_size).with_bias(false);
        let own_head = scope.contains("lm_head.weight") && !scope.same_bytes("lm_head.weight", "shared.weight");
        Ok(Self {
            words,
            positions: RelativeBias::load(&first, config, Direction::Back)?,
            blocks: (0..config.decoder_layers()).map(block).collect::<Result<_>>()?,
            norm: norm(&decoder, "final_layer_norm", config)?,
            head: own_head.then(|| linear(scope, "lm_head", &head)).transpose()?,
            scale: config.output_scale(),
        })
    }

    /// The memory of a decoder that has written nothing yet about `[rows, tokens, d_model]`.
    pub(super) fn memory(&self, encoded: &Tensor<3>, padding: Option<Tensor<4>>) -> T5Memory {
        let mut read = KeyValues::default();
        for (index, block) in self.blocks.iter().enumerate() {
            let (key, value) = block.cross.keys(encoded);
            read.extend(index, key, value);
        }
        let none = || Tensor::zeros([1, 1, 1, encoded.dims()[1]], &encoded.device());
        T5Memory { written: KeyValues::default(), read, padding: padding.unwrap_or_else(none) }
    }

    /// Reads tokens `[rows, new]` after those that the memory holds; gives their states
    /// `[rows, new, d_model]`.
    pub(super) fn read(&self, tokens: Tensor<2, Int>, memory: &mut T5Memory) -> Tensor<3> {
        let (before, new) = (memory.written.tokens(), tokens.dims()[1]);
        let mut bias = self.positions.forward(before, new);
        if new > 1 {
            bias = bias + future(before, new, &tokens);
        }
        let mut x = self.words.forward(tokens);
        for (index, block) in self.blocks.iter().enumerate() {
            let normed = block.own.norm(&x);
            let (key, value) = block.own.keys(&normed);
            let keys = memory.written.extend(index, key, value);
            x = block.own.forward(x, normed, keys, &bias);
            if let Some(keys) = memory.read.get(index) {
                let normed = block.cross.norm(&x);
                x = block.cross.forward(x, normed, keys, &memory.padding);
            }
            x = block.feed_forward.forward(x);
        }
        self.norm.forward(x)
    }

    /// The scores of the token after one more, `[rows, 1]` to `[rows, vocab_size]`.
    pub(super) fn step(&self, tokens: Tensor<2, Int>, memory: &mut T5Memory) -> Tensor<2> {
        let scores = self.scores(self.read(tokens, memory));
        let [rows, _, width] = scores.dims();
        scores.reshape([rows, width])
    }

    /// States `[rows, tokens, d_model]` to scores `[rows, tokens, vocab_size]`.
    pub(super) fn scores(&self, states: Tensor<3>) -> Tensor<3> {
        let states = match self.scale {
            Some(scale) => states * scale,
            None => states,
        };
        scores(states, self.head.as_ref(), &self.words)
    }
}

/// What hides the tokens after each query, `[1, 1, queries, before + queries]`.
fn future(before: usize, queries: usize, like: &Tensor<2, Int>) -> Tensor<4> {
    let keys = before + queries;
    let mut values = Vec::with_capacity(queries * keys);
    for query in before..keys {
        values.extend((0..keys).map(|key| if key > query { f32::MIN } else { 0.0 }));
    }
    Tensor::from_data(TensorData::new(values, [1, 1, queries, keys]), &like.device())
}
