//! A layer of BLIP's text decoder.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;

use super::BlipTextConfig;
use crate::activation::Activation;
use crate::attention::{Visibility, attend, attend_on_past, merge_heads, split_heads};
use crate::error::Result;
use crate::generate::KeyValues;
use crate::layers::{layer_norm, linear};
use crate::weights::Scope;

/// transformers' `BlipTextLayer` of a decoder.
#[derive(Module, Debug)]
pub(super) struct Layer {
    own: Attention,
    image: Attention,
    dense_in: Linear,
    dense_out: Linear,
    norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
}

impl Layer {
    pub(super) fn load(scope: &Scope, config: &BlipTextConfig, image_dim: usize) -> Result<Self> {
        let (dim, hidden) = (config.hidden_size, config.intermediate_size);
        let output = scope.enter("output");
        Ok(Self {
            own: Attention::load(&scope.enter("attention"), config, dim)?,
            image: Attention::load(&scope.enter("crossattention"), config, image_dim)?,
            dense_in: linear(
                &scope.enter("intermediate"),
                "dense",
                &LinearConfig::new(dim, hidden),
            )?,
            dense_out: linear(&output, "dense", &LinearConfig::new(hidden, dim))?,
            norm: layer_norm(&output, "LayerNorm", &norm_of(config))?,
            activation: config.hidden_act,
        })
    }

    /// Keys and values of image tokens `[rows, image_tokens, image_dim]`.
    pub(super) fn image_keys(&self, image: &Tensor<3>) -> (Tensor<4>, Tensor<4>) {
        self.image.keys(image)
    }

    /// Attention on the tokens up to each.
    pub(super) fn look_back(
        &self,
        x: Tensor<3>,
        index: usize,
        bias: &Option<Tensor<4>>,
        written: &mut KeyValues,
    ) -> Tensor<3> {
        let (key, value) = self.own.keys(&x);
        let (key, value) = written.extend(index, key, value);
        let attended = attend_on_past(self.own.query(&x), key, value, bias.clone());
        self.own.finish(attended, x)
    }

    /// Attention on the image, then the MLP.
    pub(super) fn look_at(&self, x: Tensor<3>, image: Option<(Tensor<4>, Tensor<4>)>) -> Tensor<3> {
        let x = match image {
            Some((key, value)) => {
                let attended = attend(self.image.query(&x), key, value, Visibility::All);
                self.image.finish(attended, x)
            }
            None => x,
        };
        let hidden = self.activation.forward(self.dense_in.forward(x.clone()));
        self.norm.forward(self.dense_out.forward(hidden) + x)
    }
}

/// transformers' `BlipTextAttention`: attention, then the norm of the sum with its input.
#[derive(Module, Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: LayerNorm,
    heads: usize,
}

impl Attention {
    fn load(scope: &Scope, config: &BlipTextConfig, key_dim: usize) -> Result<Self> {
        let dim = config.hidden_size;
        let (inner, output) = (scope.enter("self"), scope.enter("output"));
        Ok(Self {
            query: linear(&inner, "query", &LinearConfig::new(dim, dim))?,
            key: linear(&inner, "key", &LinearConfig::new(key_dim, dim))?,
            value: linear(&inner, "value", &LinearConfig::new(key_dim, dim))?,
            output: linear(&output, "dense", &LinearConfig::new(dim, dim))?,
            norm: layer_norm(&output, "LayerNorm", &norm_of(config))?,
            heads: config.num_attention_heads,
        })
    }

    fn query(&self, x: &Tensor<3>) -> Tensor<4> {
        split_heads(self.query.forward(x.clone()), self.heads)
    }

    fn keys(&self, seen: &Tensor<3>) -> (Tensor<4>, Tensor<4>) {
        let split = |layer: &Linear| split_heads(layer.forward(seen.clone()), self.heads);
        (split(&self.key), split(&self.value))
    }

    fn finish(&self, attended: Tensor<4>, x: Tensor<3>) -> Tensor<3> {
        self.norm
            .forward(self.output.forward(merge_heads(attended)) + x)
    }
}

fn norm_of(config: &BlipTextConfig) -> LayerNormConfig {
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps)
}
