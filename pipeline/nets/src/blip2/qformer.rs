//! The querying transformer: a few learned queries read the image.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;

use super::Blip2QFormerConfig;
use crate::activation::Activation;
use crate::attention::{Visibility, attend, merge_heads, split_heads};
use crate::error::Result;
use crate::layers::{layer_norm, linear};
use crate::weights::Scope;

/// transformers' `Blip2QFormerModel`, without its text branch.
#[derive(Module, Debug)]
pub(super) struct QFormer {
    norm: LayerNorm,
    layers: Vec<Layer>,
}

impl QFormer {
    /// `image_dim` is the width of the image tokens.
    pub(super) fn load(
        scope: &Scope,
        config: &Blip2QFormerConfig,
        image_dim: usize,
    ) -> Result<Self> {
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let sees_image = index % config.cross_attention_frequency.max(1) == 0;
                let image = sees_image.then_some(image_dim);
                Layer::load(&scope.enter("encoder.layer").enter(index), config, image)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            norm: layer_norm(scope, "layernorm", &norm_of(config))?,
            layers,
        })
    }

    /// Queries `[batch, queries, dim]` and image tokens `[batch, tokens, image_dim]` to `[batch, queries, dim]`.
    pub(super) fn forward(&self, queries: Tensor<3>, image: Tensor<3>) -> Tensor<3> {
        let x = self.norm.forward(queries);
        self.layers
            .iter()
            .fold(x, |x, layer| layer.forward(x, &image))
    }
}

/// transformers' `Blip2QFormerLayer`.
#[derive(Module, Debug)]
struct Layer {
    attention: Attention,
    cross_attention: Option<Attention>,
    dense_in: Linear,
    dense_out: Linear,
    norm: LayerNorm,
    #[module(skip)]
    activation: Activation,
}

impl Layer {
    fn load(scope: &Scope, config: &Blip2QFormerConfig, image_dim: Option<usize>) -> Result<Self> {
        let (dim, hidden) = (config.hidden_size, config.intermediate_size);
        let output = scope.enter("output_query");
        Ok(Self {
            attention: Attention::load(&scope.enter("attention"), config, dim)?,
            cross_attention: image_dim
                .map(|image_dim| Attention::load(&scope.enter("crossattention"), config, image_dim))
                .transpose()?,
            dense_in: linear(
                &scope.enter("intermediate_query"),
                "dense",
                &LinearConfig::new(dim, hidden),
            )?,
            dense_out: linear(&output, "dense", &LinearConfig::new(hidden, dim))?,
            norm: layer_norm(&output, "LayerNorm", &norm_of(config))?,
            activation: config.hidden_act,
        })
    }

    fn forward(&self, x: Tensor<3>, image: &Tensor<3>) -> Tensor<3> {
        let mut x = self.attention.forward(x.clone(), x);
        if let Some(cross) = &self.cross_attention {
            x = cross.forward(x, image.clone());
        }
        let hidden = self.activation.forward(self.dense_in.forward(x.clone()));
        self.norm.forward(self.dense_out.forward(hidden) + x)
    }
}

/// transformers' `Blip2QFormerAttention`: attention, then the norm of the sum with its input.
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
    fn load(scope: &Scope, config: &Blip2QFormerConfig, key_dim: usize) -> Result<Self> {
        let dim = config.hidden_size;
        let (inner, output) = (scope.enter("attention"), scope.enter("output"));
        Ok(Self {
            query: linear(&inner, "query", &LinearConfig::new(dim, dim))?,
            key: linear(&inner, "key", &LinearConfig::new(key_dim, dim))?,
            value: linear(&inner, "value", &LinearConfig::new(key_dim, dim))?,
            output: linear(&output, "dense", &LinearConfig::new(dim, dim))?,
            norm: layer_norm(&output, "LayerNorm", &norm_of(config))?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>, seen: Tensor<3>) -> Tensor<3> {
        let split = |x: Tensor<3>| split_heads(x, self.heads);
        let query = split(self.query.forward(x.clone()));
        let (key, value) = (
            split(self.key.forward(seen.clone())),
            split(self.value.forward(seen)),
        );
        let attended = merge_heads(attend(query, key, value, Visibility::All));
        self.norm.forward(self.output.forward(attended) + x)
    }
}

fn norm_of(config: &Blip2QFormerConfig) -> LayerNormConfig {
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps)
}
