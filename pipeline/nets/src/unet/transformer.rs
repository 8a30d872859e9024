//! Upstream `Transformer2DModel`, `BasicTransformerBlock`, `Attention` and `FeedForward` (GEGLU).

use burn::module::Module;
use burn::nn::{GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;

use super::capture::{Attend, Attention, MapKind};
use super::config::Level;
use super::position::{Position, PositionType};
use crate::dropout::Dropping;
use crate::error::Result;
use crate::resnet::pointwise;
use crate::weights::Scope;
use crate::{layers, ops};

/// ε of the transformers' group norm, whatever `norm_eps` says.
const NORM_EPS: f64 = 1e-6;
/// Inner width of the feed-forward layers relative to the channels.
const EXPANSION: usize = 4;

/// What the blocks of one call see besides the hidden states.
pub(super) struct Surroundings<'a> {
    /// `[batch, tokens, context]`.
    pub context: &'a Tensor<3>,
    pub attention: &'a mut dyn Attention,
    pub dropping: &'a mut dyn Dropping,
}

#[derive(Module, Debug)]
pub(super) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    transformer_blocks: Vec<Block>,
    proj_out: Linear,
}

#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    attn1: AttentionLayer,
    norm2: LayerNorm,
    attn2: AttentionLayer,
    norm3: LayerNorm,
    ff_in: Linear,
    ff_out: Linear,
}

#[derive(Module, Debug)]
struct AttentionLayer {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    position: Option<Position>,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    kind: MapKind,
    #[module(skip)]
    upcast: bool,
}

impl Transformer {
    pub(super) fn from_scope(scope: &Scope<'_>, level: &Level, groups: usize) -> Result<Self> {
        let channels = level.channels;
        let norm = GroupNormConfig::new(groups, channels).with_epsilon(NORM_EPS);
        let blocks = scope.enter("transformer_blocks");
        Ok(Self {
            norm: layers::group_norm(scope, "norm", &norm)?,
            proj_in: pointwise(scope, "proj_in", channels, channels)?,
            transformer_blocks: (0..level.transformer_layers)
                .map(|i| Block::from_scope(&blocks.enter(i), level))
                .collect::<Result<_>>()?,
            proj_out: pointwise(scope, "proj_out", channels, channels)?,
        })
    }

    /// `[batch, channels, height, width]` to the same.
    pub(super) fn forward(&self, x: Tensor<4>, around: &mut Surroundings<'_>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let normed = ops::group_norm(&self.norm, x.clone());
        // [batch, height * width, channels]
        let tokens = normed.reshape([batch, channels, height * width]).swap_dims(1, 2);
        let mut hidden = self.proj_in.forward(tokens);
        for block in &self.transformer_blocks {
            hidden = block.forward(hidden, [height, width], around);
        }
        let out = self.proj_out.forward(hidden).swap_dims(1, 2);
        out.reshape([batch, channels, height, width]) + x
    }
}

impl Block {
    fn from_scope(scope: &Scope<'_>, level: &Level) -> Result<Self> {
        let channels = level.channels;
        let inner = EXPANSION * channels;
        let norm = |name| layers::layer_norm(scope, name, &LayerNormConfig::new(channels));
        let attention = |name, context, kind| AttentionLayer::from_scope(&scope.enter(name), level, context, kind);
        let net = scope.enter("ff").enter("net");
        Ok(Self {
            norm1: norm("norm1")?,
            attn1: attention("attn1", channels, MapKind::SelfAttention)?,
            norm2: norm("norm2")?,
            attn2: attention("attn2", level.context, MapKind::Cross)?,
            norm3: norm("norm3")?,
            ff_in: layers::linear(&net.enter(0), "proj", &LinearConfig::new(channels, 2 * inner))?,
            ff_out: layers::linear(&net, "2", &LinearConfig::new(inner, channels))?,
        })
    }

    fn forward(&self, x: Tensor<3>, size: [usize; 2], around: &mut Surroundings<'_>) -> Tensor<3> {
        let normed = self.norm1.forward(x.clone());
        let x = x + self.attn1.forward(normed, None, size, around.attention);
        let normed = self.norm2.forward(x.clone());
        let context = Some(around.context.clone());
        let x = x + self.attn2.forward(normed, context, size, around.attention);
        let inner = ops::geglu(self.ff_in.forward(self.norm3.forward(x.clone())));
        x + self.ff_out.forward(inner)
    }
}

impl AttentionLayer {
    fn from_scope(scope: &Scope<'_>, level: &Level, context: usize, kind: MapKind) -> Result<Self> {
        let channels = level.channels;
        let projection =
            |name, input| layers::linear(scope, name, &LinearConfig::new(input, channels).with_bias(false));
        Ok(Self {
            to_q: projection("to_q", channels)?,
            to_k: projection("to_k", context)?,
            to_v: projection("to_v", context)?,
            to_out: layers::linear(&scope.enter("to_out"), "0", &LinearConfig::new(channels, channels))?,
            position: match level.position {
                PositionType::None => None,
                PositionType::Cartesian => Some(Position::from_scope(scope, channels)?),
            },
            heads: level.heads,
            kind,
            upcast: level.upcast_attention,
        })
    }

    /// Attends to the context, or to the hidden states themselves.
    fn forward(
        &self,
        hidden: Tensor<3>,
        context: Option<Tensor<3>>,
        size: [usize; 2],
        attention: &mut dyn Attention,
    ) -> Tensor<3> {
        let [batch, positions, channels] = hidden.dims();
        let hidden = match &self.position {
            Some(position) => position.forward(hidden, size),
            None => hidden,
        };
        let context = context.unwrap_or_else(|| hidden.clone());
        let mixed = attention.attend(Attend {
            kind: self.kind,
            upcast: self.upcast,
            size,
            query: self.split(self.to_q.forward(hidden)),
            key: self.split(self.to_k.forward(context.clone())),
            value: self.split(self.to_v.forward(context)),
            project_key: &|context| self.split(self.to_k.forward(context)),
        });
        self.to_out.forward(mixed.swap_dims(1, 2).reshape([batch, positions, channels]))
    }

    /// `[batch, tokens, channels]` to `[batch, heads, tokens, head_dim]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, tokens, channels] = x.dims();
        x.reshape([batch, tokens, self.heads, channels / self.heads]).swap_dims(1, 2)
    }
}
