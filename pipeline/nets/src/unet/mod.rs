//! The denoising network of latent diffusion: upstream `UNet2DConditionModel`.

mod blocks;
pub mod capture;
mod config;
mod encoder;
mod position;
mod time;
mod transformer;

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{Device, Tensor, activation};

pub use crate::dropout::{Dropping, Whole};
pub use config::{DownBlockType, Level, MidBlockType, UNetConfig, UpBlockType};
pub use encoder::{UNetEncoder, UNetEncoderConfig};
pub use position::PositionType;

use crate::error::{NetsError, Result};
use crate::resnet::same_conv;
use crate::weights::Scope;
use crate::{Weights, layers, ops};
use blocks::{DownBlock, MidBlock, UpBlock};
use capture::Attention;
use time::TimeEmbedding;
use transformer::Surroundings;

/// The denoising network.
#[derive(Module, Debug)]
pub struct UNet2DConditionModel {
    conv_in: Conv2d,
    time_embedding: TimeEmbedding,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    #[module(skip)]
    center_input_sample: bool,
    #[module(skip)]
    dropout: f64,
}

impl UNet2DConditionModel {
    /// Reads `config.json` and `diffusion_pytorch_model.safetensors` in `folder`.
    ///
    /// # Errors
    /// When a file is missing or damaged, the two do not belong together, or the configuration asks for
    /// something that is not implemented.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let config = UNetConfig::read(folder)?;
        let weights = Weights::open(folder, "diffusion_pytorch_model")?;
        let model = Self::from_scope(&weights.root(device), &config)?;
        // The buffers of position embeddings are computed.
        weights.finish(&["*.pos_emb.1.pe"])?;
        Ok(model)
    }

    /// Takes the network's weights from a scope.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn from_scope(scope: &Scope<'_>, config: &UNetConfig) -> Result<Self> {
        let (Some(finest), Some(coarsest)) = (config.levels.first(), config.levels.last()) else {
            return Err(NetsError::input("a UNet needs at least one level"));
        };
        let conv_in = same_conv(config.in_channels, finest.channels, config.conv_in_kernel);
        let conv_out = same_conv(finest.channels, config.out_channels, config.conv_out_kernel);
        let norm_out = GroupNormConfig::new(config.norm_groups, finest.channels).with_epsilon(config.norm_eps);
        let (down_blocks, mut skips) = down_blocks(scope, config, finest.channels)?;
        let mut input = coarsest.channels;
        let mut up_blocks = Vec::with_capacity(config.up.len());
        for (index, level) in config.levels.iter().rev().enumerate() {
            let scope = scope.enter("up_blocks").enter(index);
            up_blocks.push(UpBlock::from_scope(&scope, config, index, input, &mut skips)?);
            input = level.channels;
        }
        Ok(Self {
            conv_in: layers::conv2d(scope, "conv_in", &conv_in)?,
            time_embedding: TimeEmbedding::from_scope(&scope.enter("time_embedding"), config, finest.channels)?,
            down_blocks,
            mid_block: MidBlock::from_scope(&scope.enter("mid_block"), config, coarsest)?,
            up_blocks,
            conv_norm_out: layers::group_norm(scope, "conv_norm_out", &norm_out)?,
            conv_out: layers::conv2d(scope, "conv_out", &conv_out)?,
            center_input_sample: config.center_input_sample,
            dropout: config.dropout,
        })
    }

    /// The share of activations that training drops in every residual block: the configuration's word, which
    /// no forward pass acts on by itself.
    pub fn dropout(&self) -> f64 {
        self.dropout
    }

    /// Predicts noise or velocity.
    ///
    /// `sample` `[batch, in_channels, height, width]`, `timesteps` one for all or one a sample, `context`
    /// `[batch, tokens, context]` (text states or slots); gives `[batch, out_channels, height, width]`.
    /// `attention` computes, and may watch, every attention layer.
    pub fn forward(
        &self,
        sample: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        attention: &mut dyn Attention,
    ) -> Tensor<4> {
        self.forward_dropping(sample, timesteps, context, attention, &mut Whole)
    }

    /// The same with dropout in the residual blocks.
    pub fn forward_dropping(
        &self,
        sample: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        attention: &mut dyn Attention,
        dropping: &mut dyn Dropping,
    ) -> Tensor<4> {
        attention.begin_call();
        let (batch, device) = (sample.dims()[0], sample.device());
        let time = self.time_embedding.forward(timesteps, &device);
        // Every residual block takes the embedding activated.
        let time = activation::silu(time);
        let time = if timesteps.len() == batch { time } else { time.repeat_dim(0, batch) };
        let sample = if self.center_input_sample { sample * 2.0 - 1.0 } else { sample };
        let mut around = Surroundings { context: &context, attention, dropping };

        let mut x = ops::conv2d(&self.conv_in, sample);
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            x = block.forward(x, &time, &mut skips, &mut around);
        }
        x = self.mid_block.forward(x, &time, &mut around);
        for block in &self.up_blocks {
            x = block.forward(x, &time, &mut skips, &mut around);
        }
        ops::conv2d(&self.conv_out, ops::group_norm_silu(&self.conv_norm_out, x))
    }
}

/// The way down, and the channels of every skip connection that it leaves.
fn down_blocks(scope: &Scope<'_>, config: &UNetConfig, first: usize) -> Result<(Vec<DownBlock>, Vec<usize>)> {
    let mut input = first;
    let mut skips = vec![first];
    let mut blocks = Vec::with_capacity(config.down.len());
    for (index, level) in config.levels.iter().enumerate() {
        let scope = scope.enter("down_blocks").enter(index);
        blocks.push(DownBlock::from_scope(&scope, config, index, input)?);
        let halved = usize::from(index + 1 < config.levels.len());
        skips.extend(std::iter::repeat_n(level.channels, level.layers + halved));
        input = level.channels;
    }
    Ok((blocks, skips))
}
