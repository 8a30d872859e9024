//! The picture encoder of Latent Slot Diffusion trained from scratch: `UNetEncoder`, a convolution that
//! shrinks the picture and a `UNet2DModel` at timestep 0.

use std::path::Path;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{Device, Tensor, activation};
use serde::Deserialize;

use super::blocks::{DownBlock, UpBlock};
use super::config::{DownBlockType, Level, MidBlockType, UNetConfig, UpBlockType};
use super::position::PositionType;
use super::time::TimeEmbedding;
use super::transformer::Surroundings;
use super::{capture::Plain, down_blocks};
use crate::config::{self, Levels, Problem};
use crate::dropout::Whole;
use crate::error::{NetsError, Result};
use crate::resnet::{ResnetBlock, ResnetConfig, same_conv};
use crate::spatial_attention::{SpatialAttention, SpatialAttentionConfig};
use crate::weights::Scope;
use crate::{Weights, layers, ops};

/// `config.json` of `UNetEncoder`, with its defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct UNetEncoderConfig {
    /// Side of the grid of features.
    pub sample_size: usize,
    /// Channels that the first convolution makes.
    pub in_channels: usize,
    /// Width of the features.
    pub out_channels: usize,
    /// Channels of each level, finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of a level on the way down; one more on the way up.
    pub layers_per_block: usize,
    /// Width of an attention head in the middle.
    pub attention_head_dim: usize,
    /// Groups of the group norms.
    pub norm_num_groups: usize,
    /// ε of the group norms.
    pub norm_eps: f64,
    /// Attention in the middle.
    pub add_attention: bool,
    /// Time embedding as (cos, sin) instead of (sin, cos).
    pub flip_sin_to_cos: bool,
    /// Shift of the time embedding's frequencies.
    pub freq_shift: f32,
    /// Side of the pictures in pixels.
    pub input_resolution: usize,
    /// Channels of a picture.
    pub input_channels: usize,
    act_fn: String,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
}

impl Default for UNetEncoderConfig {
    fn default() -> Self {
        Self {
            sample_size: 64,
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![224, 448, 672, 896],
            layers_per_block: 2,
            attention_head_dim: 8,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            add_attention: true,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            input_resolution: 256,
            input_channels: 3,
            act_fn: "silu".to_owned(),
            down_block_types: Vec::new(),
            up_block_types: Vec::new(),
        }
    }
}

impl UNetEncoderConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When the file cannot be read, its values do not fit each other, or it asks for something that is
    /// not implemented: the field is named.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        config::checked(folder, Self::problem)
    }

    /// Pixels of a picture's side for each position.
    pub fn downscale(&self) -> usize {
        self.input_resolution / self.sample_size.max(1)
    }

    fn problem(&self) -> Option<Problem> {
        let levels = Levels {
            channels: &self.block_out_channels,
            groups: self.norm_num_groups,
            activation: &self.act_fn,
            blocks: [
                ("down_block_types", &self.down_block_types, "DownBlock2D"),
                ("up_block_types", &self.up_block_types, "UpBlock2D"),
            ],
        };
        if let Some(problem) = levels.problem() {
            return Some(problem);
        }
        let head = self.attention_head_dim;
        let last = self.block_out_channels.last().copied().unwrap_or(0);
        if head == 0 || !last.is_multiple_of(head) {
            let message = format!("heads of {head} do not divide {last} channels");
            return Some(("attention_head_dim", message));
        }
        let (side, positions) = (self.input_resolution, self.sample_size);
        let fits = self.downscale() > 0 && side.is_multiple_of(positions);
        (!fits).then(|| {
            let message = format!("{side} is no multiple of `sample_size` {positions}");
            ("input_resolution", message)
        })
    }

    /// The same as a network without transformers.
    fn unet(&self) -> UNetConfig {
        let levels = self.block_out_channels.iter().map(|&channels| Level {
            channels,
            layers: self.layers_per_block,
            heads: 1,
            transformer_layers: 0,
            context: 0,
            upcast_attention: false,
            position: PositionType::None,
        });
        let count = self.block_out_channels.len();
        let first = self.block_out_channels.first().copied().unwrap_or(0);
        UNetConfig {
            sample_size: Some(self.sample_size),
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            levels: levels.collect(),
            down: vec![DownBlockType::DownBlock2D; count],
            mid: MidBlockType::UNetMidBlock2D,
            up: vec![UpBlockType::UpBlock2D; count],
            center_input_sample: false,
            flip_sin_to_cos: self.flip_sin_to_cos,
            freq_shift: self.freq_shift,
            time_embedding_dim: 4 * first,
            norm_groups: self.norm_num_groups,
            norm_eps: self.norm_eps,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
            dropout: 0.0,
        }
    }
}

/// The encoder.
#[derive(Module, Debug)]
pub struct UNetEncoder {
    downscale_cnn: Conv2d,
    conv_in: Conv2d,
    time_embedding: TimeEmbedding,
    down_blocks: Vec<DownBlock>,
    mid_block: Middle,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// `UNetMidBlock2D` with its attention between.
#[derive(Module, Debug)]
struct Middle {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<SpatialAttention>,
}

impl UNetEncoder {
    /// Reads `config.json` and `diffusion_pytorch_model.safetensors` in `folder` (`unetencoder/` of a
    /// published checkpoint).
    ///
    /// # Errors
    /// When a file is missing or damaged, the two do not belong together, or the configuration asks for
    /// something that is not implemented.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let config = UNetEncoderConfig::read(&folder)?;
        let weights = Weights::open(folder, "diffusion_pytorch_model")?;
        let model = Self::from_scope(&weights.root(device), &config)?;
        weights.finish(&[])?;
        Ok(model)
    }

    /// Takes the network's weights from a scope.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn from_scope(scope: &Scope<'_>, config: &UNetEncoderConfig) -> Result<Self> {
        let unet = config.unet();
        let (Some(finest), Some(coarsest)) = (unet.levels.first(), unet.levels.last()) else {
            return Err(NetsError::input("an encoder needs at least one level"));
        };
        let (first, side) = (finest.channels, config.downscale());
        let shrink =
            Conv2dConfig::new([config.input_channels, config.in_channels], [side, side]).with_stride([side, side]);
        let (down_blocks, mut skips) = down_blocks(scope, &unet, first)?;
        let mut input = coarsest.channels;
        let mut up_blocks = Vec::with_capacity(unet.up.len());
        for (index, level) in unet.levels.iter().rev().enumerate() {
            let scope = scope.enter("up_blocks").enter(index);
            up_blocks.push(UpBlock::from_scope(&scope, &unet, index, input, &mut skips)?);
            input = level.channels;
        }
        let norm_out = GroupNormConfig::new(unet.norm_groups, first).with_epsilon(unet.norm_eps);
        let conv_in = same_conv(config.in_channels, first, 3);
        let conv_out = same_conv(first, config.out_channels, 3);
        let time = scope.enter("time_embedding");
        Ok(Self {
            downscale_cnn: layers::conv2d(scope, "downscale_cnn", &shrink)?,
            conv_in: layers::conv2d(scope, "conv_in", &conv_in)?,
            time_embedding: TimeEmbedding::from_scope(&time, &unet, first)?,
            down_blocks,
            mid_block: Middle::from_scope(&scope.enter("mid_block"), config, coarsest.channels)?,
            up_blocks,
            conv_norm_out: layers::group_norm(scope, "conv_norm_out", &norm_out)?,
            conv_out: layers::conv2d(scope, "conv_out", &conv_out)?,
        })
    }

    /// Pictures `[batch, channels, height, width]` in [−1, 1] to features
    /// `[batch, out_channels, height / downscale, width / downscale]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        let (batch, device) = (pictures.dims()[0], pictures.device());
        let time = activation::silu(self.time_embedding.forward(&[0.0], &device));
        let time = time.repeat_dim(0, batch);
        // Nothing here looks at a context.
        let context = Tensor::zeros([batch, 1, 1], &device);
        let mut around = Surroundings { context: &context, attention: &mut Plain, dropping: &mut Whole };
        let x = ops::conv2d(&self.downscale_cnn, pictures);
        let mut x = ops::conv2d(&self.conv_in, x);
        let mut skips = vec![x.clone()];
        for block in &self.down_blocks {
            x = block.forward(x, &time, &mut skips, &mut around);
        }
        x = self.mid_block.forward(x, &time);
        for block in &self.up_blocks {
            x = block.forward(x, &time, &mut skips, &mut around);
        }
        ops::conv2d(&self.conv_out, ops::group_norm_silu(&self.conv_norm_out, x))
    }

    /// Width of the features.
    pub fn width(&self) -> usize {
        self.conv_out.weight.dims()[0]
    }
}

impl Middle {
    fn from_scope(scope: &Scope<'_>, config: &UNetEncoderConfig, channels: usize) -> Result<Self> {
        let resnet = ResnetConfig {
            input: channels,
            output: channels,
            time: Some(4 * config.block_out_channels[0]),
            groups: config.norm_num_groups,
            eps: config.norm_eps,
        };
        let attention = SpatialAttentionConfig {
            channels,
            heads: channels / config.attention_head_dim,
            groups: config.norm_num_groups,
            eps: config.norm_eps,
        };
        let attentions = usize::from(config.add_attention);
        Ok(Self {
            resnets: (0..2)
                .map(|i| ResnetBlock::from_scope(&scope.enter("resnets").enter(i), &resnet))
                .collect::<Result<_>>()?,
            attentions: (0..attentions)
                .map(|i| SpatialAttention::from_scope(&scope.enter("attentions").enter(i), &attention))
                .collect::<Result<_>>()?,
        })
    }

    fn forward(&self, mut x: Tensor<4>, time: &Tensor<2>) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward(x, Some(time));
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(x);
            }
        }
        x
    }
}
