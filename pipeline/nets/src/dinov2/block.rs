//! One block of DINOv2.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Tensor, activation};

use super::Dinov2Config;
use crate::activation::Activation;
use crate::attention::{Visibility, attend, merge_heads, split_heads};
use crate::error::Result;
use crate::layers::{layer_norm, linear};
use crate::weights::Scope;

/// transformers' `Dinov2Layer`: x + λ₁ · attention(norm(x)), then x + λ₂ · mlp(norm(x)).
#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    attention: Attention,
    scale1: Param<Tensor<1>>,
    norm2: LayerNorm,
    mlp: Mlp,
    scale2: Param<Tensor<1>>,
}

impl Block {
    pub(super) fn load(scope: &Scope, config: &Dinov2Config) -> Result<Self> {
        let dim = config.hidden_size;
        let norm = LayerNormConfig::new(dim).with_epsilon(config.layer_norm_eps);
        Ok(Self {
            norm1: layer_norm(scope, "norm1", &norm)?,
            attention: Attention::load(&scope.enter("attention"), config)?,
            scale1: scope.param("layer_scale1.lambda1", [dim])?,
            norm2: layer_norm(scope, "norm2", &norm)?,
            mlp: Mlp::load(&scope.enter("mlp"), config)?,
            scale2: scope.param("layer_scale2.lambda1", [dim])?,
        })
    }

    /// `[batch, tokens, dim]` to the same.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let attended = self.attention.forward(self.norm1.forward(x.clone()));
        let x = x + attended * self.scale1.val().unsqueeze();
        let mixed = self.mlp.forward(self.norm2.forward(x.clone()));
        x + mixed * self.scale2.val().unsqueeze()
    }
}

#[derive(Module, Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    fn load(scope: &Scope, config: &Dinov2Config) -> Result<Self> {
        let dim = config.hidden_size;
        let inner = scope.enter("attention");
        let projection = LinearConfig::new(dim, dim).with_bias(config.qkv_bias);
        Ok(Self {
            query: linear(&inner, "query", &projection)?,
            key: linear(&inner, "key", &projection)?,
            value: linear(&inner, "value", &projection)?,
            output: linear(
                &scope.enter("output"),
                "dense",
                &LinearConfig::new(dim, dim),
            )?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let split = |layer: &Linear| split_heads(layer.forward(x.clone()), self.heads);
        let attended = attend(
            split(&self.query),
            split(&self.key),
            split(&self.value),
            Visibility::All,
        );
        self.output.forward(merge_heads(attended))
    }
}

#[derive(Module, Debug)]
enum Mlp {
    Plain(PlainMlp),
    Gated(GatedMlp),
}

#[derive(Module, Debug)]
struct PlainMlp {
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
}

#[derive(Module, Debug)]
struct GatedMlp {
    weights_in: Linear,
    weights_out: Linear,
}

impl Mlp {
    fn load(scope: &Scope, config: &Dinov2Config) -> Result<Self> {
        let (dim, hidden) = (config.hidden_size, config.mlp_width());
        Ok(match config.use_swiglu_ffn {
            true => Self::Gated(GatedMlp {
                weights_in: linear(scope, "weights_in", &LinearConfig::new(dim, 2 * hidden))?,
                weights_out: linear(scope, "weights_out", &LinearConfig::new(hidden, dim))?,
            }),
            false => Self::Plain(PlainMlp {
                fc1: linear(scope, "fc1", &LinearConfig::new(dim, hidden))?,
                fc2: linear(scope, "fc2", &LinearConfig::new(hidden, dim))?,
                activation: config.hidden_act,
            }),
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Plain(mlp) => mlp.fc2.forward(mlp.activation.forward(mlp.fc1.forward(x))),
            Self::Gated(mlp) => {
                let both = mlp.weights_in.forward(x);
                let hidden = both.dims()[2] / 2;
                let gate = activation::silu(both.clone().narrow(2, 0, hidden));
                mlp.weights_out
                    .forward(gate * both.narrow(2, hidden, hidden))
            }
        }
    }
}
