//! BLIP-2's image encoder.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;

use super::Blip2VisionConfig;
use crate::activation::Activation;
use crate::attention::{Visibility, attend, merge_heads};
use crate::error::Result;
use crate::layers::{layer_norm, linear};
use crate::vision::{PatchEmbedding, PositionInterpolation, interpolate_positions};
use crate::weights::Scope;

/// transformers' `Blip2VisionModel`.
#[derive(Module, Debug)]
pub(crate) struct VisionModel {
    patches: PatchEmbedding,
    class_token: Param<Tensor<3>>,
    positions: Param<Tensor<3>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl VisionModel {
    pub(crate) fn load(scope: &Scope, config: &Blip2VisionConfig) -> Result<Self> {
        let dim = config.hidden_size;
        let embeddings = scope.enter("embeddings");
        let grid = config.image_size / config.patch_size.max(1);
        let norm = LayerNormConfig::new(dim).with_epsilon(config.layer_norm_eps);
        Ok(Self {
            patches: PatchEmbedding::load(&embeddings, "patch_embedding", 3, config.patch_size, dim)?,
            class_token: embeddings.param("class_embedding", [1, 1, dim])?,
            positions: embeddings.param("position_embedding", [1, 1 + grid * grid, dim])?,
            blocks: (0..config.num_hidden_layers)
                .map(|index| Block::load(&scope.enter("encoder.layers").enter(index), config))
                .collect::<Result<_>>()?,
            norm: layer_norm(scope, "post_layernorm", &norm)?,
        })
    }

    /// Normalised pixels `[batch, 3, height, width]` to `[batch, 1 + rows * columns, dim]`.
    pub(crate) fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let grid = self.patches.grid(&pixels)?;
        let patches = self.patches.forward(pixels)?;
        let class = self.class_token.val().repeat_dim(0, patches.dims()[0]);
        let positions = interpolate_positions(self.positions.val(), grid, PositionInterpolation::Size);
        let x = Tensor::cat(vec![class, patches], 1) + positions;
        Ok(self.norm.forward(self.blocks.iter().fold(x, |x, block| block.forward(x))))
    }
}

/// transformers' `Blip2EncoderLayer`.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    projection: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    #[module(skip)]
    activation: Activation,
    heads: usize,
}

impl Block {
    fn load(scope: &Scope, config: &Blip2VisionConfig) -> Result<Self> {
        let (dim, hidden) = (config.hidden_size, config.intermediate_size);
        let norm = LayerNormConfig::new(dim).with_epsilon(config.layer_norm_eps);
        let (attention, mlp) = (scope.enter("self_attn"), scope.enter("mlp"));
        Ok(Self {
            norm1: layer_norm(scope, "layer_norm1", &norm)?,
            qkv: qkv(&attention, config)?,
            projection: linear(&attention, "projection", &LinearConfig::new(dim, dim))?,
            norm2: layer_norm(scope, "layer_norm2", &norm)?,
            fc1: linear(&mlp, "fc1", &LinearConfig::new(dim, hidden))?,
            fc2: linear(&mlp, "fc2", &LinearConfig::new(hidden, dim))?,
            activation: config.hidden_act,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attention(self.norm1.forward(x));
        let hidden = self.activation.forward(self.fc1.forward(self.norm2.forward(x.clone())));
        x + self.fc2.forward(hidden)
    }

    fn attention(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, dim] = x.dims();
        let qkv = self.qkv.forward(x);
        let part = |index: usize| {
            // [batch, heads, tokens, head_dim]
            qkv.clone()
                .narrow(2, index * dim, dim)
                .reshape([batch, tokens, self.heads, dim / self.heads])
                .swap_dims(1, 2)
        };
        self.projection.forward(merge_heads(attend(part(0), part(1), part(2), Visibility::All)))
    }
}

/// The merged projection; files from before transformers saved `qkv.bias` have `q_bias` and `v_bias`.
fn qkv(scope: &Scope, config: &Blip2VisionConfig) -> Result<Linear> {
    let dim = config.hidden_size;
    let whole = LinearConfig::new(dim, 3 * dim).with_bias(config.qkv_bias);
    if !config.qkv_bias || !scope.contains("q_bias") {
        return linear(scope, "qkv", &whole);
    }
    let mut layer = linear(scope, "qkv", &whole.with_bias(false))?;
    let none = Tensor::<1>::zeros([dim], scope.device());
    let bias = Tensor::cat(vec![scope.tensor("q_bias", [dim])?, none, scope.tensor("v_bias", [dim])?], 0);
    layer.bias = Some(Param::from_tensor(bias));
    Ok(layer)
}
