//! The querying transformer: a few learned queries read the image.

use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::Tensor;

use super::Blip2QFormerConfig;
use crate::attention::{Visibility, attend};
use crate::bert::{Attention, FeedForward, Sizes};
use crate::error::Result;
use crate::layers::layer_norm;
use crate::weights::Scope;

/// transformers' `Blip2QFormerModel`, without its text branch.
#[derive(Module, Debug)]
pub(super) struct QFormer {
    norm: LayerNorm,
    layers: Vec<Layer>,
}

impl QFormer {
    /// `image_dim` is the width of the image tokens.
    pub(super) fn load(scope: &Scope, config: &Blip2QFormerConfig, image_dim: usize) -> Result<Self> {
        let layers = (0..config.num_hidden_layers)
            .map(|index| {
                let sees_image = index % config.cross_attention_frequency.max(1) == 0;
                let image = sees_image.then_some(image_dim);
                Layer::load(&scope.enter("encoder.layer").enter(index), config, image)
            })
            .collect::<Result<_>>()?;
        Ok(Self { norm: layer_norm(scope, "layernorm", &sizes(config).norm())?, layers })
    }

    /// Queries `[batch, queries, dim]` and image tokens `[batch, tokens, image_dim]` to `[batch, queries, dim]`.
    pub(super) fn forward(&self, queries: Tensor<3>, image: Tensor<3>) -> Tensor<3> {
        let x = self.norm.forward(queries);
        self.layers.iter().fold(x, |x, layer| layer.forward(x, &image))
    }
}

/// transformers' `Blip2QFormerLayer`.
#[derive(Module, Debug)]
struct Layer {
    attention: Attention,
    cross_attention: Option<Attention>,
    feed_forward: FeedForward,
}

impl Layer {
    fn load(scope: &Scope, config: &Blip2QFormerConfig, image_dim: Option<usize>) -> Result<Self> {
        let sizes = sizes(config);
        let attention = |name, key_dim| Attention::load(&scope.enter(name), "attention", &sizes, key_dim);
        let halves = ["intermediate_query", "output_query"];
        Ok(Self {
            attention: attention("attention", sizes.dim)?,
            cross_attention: image_dim.map(|image_dim| attention("crossattention", image_dim)).transpose()?,
            feed_forward: FeedForward::load(scope, halves, &sizes, config.hidden_act)?,
        })
    }

    fn forward(&self, x: Tensor<3>, image: &Tensor<3>) -> Tensor<3> {
        let mut x = look_at(&self.attention, x.clone(), &x);
        if let Some(cross) = &self.cross_attention {
            x = look_at(cross, x, image);
        }
        self.feed_forward.forward(x)
    }
}

/// Attention of `x` on all that is `seen`.
fn look_at(attention: &Attention, x: Tensor<3>, seen: &Tensor<3>) -> Tensor<3> {
    let (key, value) = attention.keys(seen);
    let attended = attend(attention.query(&x), key, value, Visibility::All);
    attention.finish(attended, x)
}

fn sizes(config: &Blip2QFormerConfig) -> Sizes {
    Sizes {
        dim: config.hidden_size,
        heads: config.num_attention_heads,
        hidden: config.intermediate_size,
        eps: config.layer_norm_eps,
    }
}
