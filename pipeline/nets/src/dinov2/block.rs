//! One block of the vision transformer.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Tensor, activation};

use super::architecture::Architecture;
use super::names::{BlockNames, Queries};
use crate::activation::Activation;
use crate::attention::{Visibility, attend, merge_heads, split_heads};
use crate::error::Result;
use crate::layers::{layer_norm, linear};
use crate::weights::Scope;

/// transformers' `Dinov2Layer`: x + λ₁ · attention(norm(x)), then x + λ₂ · mlp(norm(x)); without the scales
/// it is `ViTLayer`.
#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    attention: Attention,
    scale1: Option<Param<Tensor<1>>>,
    norm2: LayerNorm,
    mlp: Mlp,
    scale2: Option<Param<Tensor<1>>>,
}

impl Block {
    pub(super) fn load(scope: &Scope, names: &BlockNames, sizes: &Architecture) -> Result<Self> {
        let norm = LayerNormConfig::new(sizes.dim).with_epsilon(sizes.eps);
        let scale = |name: &str| sizes.scaled.then(|| scope.param(name, [sizes.dim])).transpose();
        Ok(Self {
            norm1: layer_norm(scope, names.norm1, &norm)?,
            attention: Attention::load(scope, names, sizes)?,
            scale1: scale(names.scale1)?,
            norm2: layer_norm(scope, names.norm2, &norm)?,
            mlp: Mlp::load(scope, names, sizes)?,
            scale2: scale(names.scale2)?,
        })
    }

    /// `[batch, tokens, dim]` to the same.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let attended = self.attention.forward(self.norm1.forward(x.clone()));
        let x = x + scaled(attended, &self.scale1);
        let mixed = self.mlp.forward(self.norm2.forward(x.clone()));
        x + scaled(mixed, &self.scale2)
    }
}

fn scaled(x: Tensor<3>, scale: &Option<Param<Tensor<1>>>) -> Tensor<3> {
    match scale {
        Some(scale) => x * scale.val().unsqueeze(),
        None => x,
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
    fn load(scope: &Scope, names: &BlockNames, sizes: &Architecture) -> Result<Self> {
        let dim = sizes.dim;
        let one = LinearConfig::new(dim, dim);
        let [query, key, value] = match &names.queries {
            Queries::Apart([query, key, value]) => {
                let one = one.clone().with_bias(sizes.qkv_bias);
                [linear(scope, query, &one)?, linear(scope, key, &one)?, linear(scope, value, &one)?]
            }
            Queries::Together(name) => {
                let all = LinearConfig::new(dim, 3 * dim).with_bias(sizes.qkv_bias);
                let all = linear(scope, name, &all)?;
                [0, 1, 2].map(|index| part(&all, index * dim, dim))
            }
        };
        Ok(Self { query, key, value, output: linear(scope, names.projection, &one)?, heads: sizes.heads })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let split = |layer: &Linear| split_heads(layer.forward(x.clone()), self.heads);
        let attended = attend(split(&self.query), split(&self.key), split(&self.value), Visibility::All);
        self.output.forward(merge_heads(attended))
    }
}

/// The layer that computes some of a layer's outputs.
fn part(layer: &Linear, first: usize, count: usize) -> Linear {
    Linear {
        weight: Param::from_tensor(layer.weight.val().narrow(1, first, count)),
        bias: layer.bias.as_ref().map(|bias| Param::from_tensor(bias.val().narrow(0, first, count))),
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
    fn load(scope: &Scope, names: &BlockNames, sizes: &Architecture) -> Result<Self> {
        let (dim, hidden) = (sizes.dim, sizes.hidden);
        let [plain_in, plain_out] = names.mlp;
        let [gated_in, gated_out] = names.gated_mlp;
        Ok(match sizes.gated {
            true => Self::Gated(GatedMlp {
                weights_in: linear(scope, gated_in, &LinearConfig::new(dim, 2 * hidden))?,
                weights_out: linear(scope, gated_out, &LinearConfig::new(hidden, dim))?,
            }),
            false => Self::Plain(PlainMlp {
                fc1: linear(scope, plain_in, &LinearConfig::new(dim, hidden))?,
                fc2: linear(scope, plain_out, &LinearConfig::new(hidden, dim))?,
                activation: sizes.activation,
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
                mlp.weights_out.forward(gate * both.narrow(2, hidden, hidden))
            }
        }
    }
}
