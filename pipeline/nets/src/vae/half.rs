//! Upstream `Encoder`, `Decoder` and `UNetMidBlock2D`.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::Tensor;

use super::config::VaeConfig;
use crate::error::Result;
use crate::resnet::{ResnetBlock, ResnetConfig, same_conv};
use crate::spatial_attention::{SpatialAttention, SpatialAttentionConfig};
use crate::weights::Scope;
use crate::{layers, ops};

/// ε of every group norm of the autoencoder.
const NORM_EPS: f64 = 1e-6;

/// Residual blocks of one level and the convolution that resamples it.
#[derive(Module, Debug)]
struct Stage {
    resnets: Vec<ResnetBlock>,
    resample: Option<Conv2d>,
}

#[derive(Module, Debug)]
struct Middle {
    first: ResnetBlock,
    attention: Option<SpatialAttention>,
    second: ResnetBlock,
}

#[derive(Module, Debug)]
pub(crate) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<Stage>,
    mid_block: Middle,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Module, Debug)]
pub(crate) struct Decoder {
    conv_in: Conv2d,
    mid_block: Middle,
    up_blocks: Vec<Stage>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

fn resnet(scope: &Scope<'_>, config: &VaeConfig, input: usize, output: usize) -> Result<ResnetBlock> {
    let groups = config.norm_num_groups;
    ResnetBlock::from_scope(scope, &ResnetConfig { input, output, time: None, groups, eps: NORM_EPS })
}

fn norm(scope: &Scope<'_>, name: &str, config: &VaeConfig, channels: usize) -> Result<GroupNorm> {
    let norm = GroupNormConfig::new(config.norm_num_groups, channels).with_epsilon(NORM_EPS);
    layers::group_norm(scope, name, &norm)
}

fn resnets(scope: &Scope<'_>, config: &VaeConfig, input: usize, output: usize, n: usize) -> Result<Vec<ResnetBlock>> {
    let scope = scope.enter("resnets");
    (0..n).map(|i| resnet(&scope.enter(i), config, if i == 0 { input } else { output }, output)).collect()
}

/// Upstream pads right and bottom only before it halves.
fn halving(channels: usize) -> Conv2dConfig {
    Conv2dConfig::new([channels, channels], [3, 3])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(0, 0, 1, 1))
}

impl Encoder {
    /// With so many output channels: twice the latent's where mean and variance are told.
    pub(crate) fn from_scope(scope: &Scope<'_>, config: &VaeConfig, output: usize) -> Result<Self> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let mut input = first;
        let mut down_blocks = Vec::with_capacity(channels.len());
        for (i, output) in channels.iter().enumerate() {
            let scope = scope.enter("down_blocks").enter(i);
            let conv = |output| layers::conv2d(&scope.enter("downsamplers").enter(0), "conv", &halving(output));
            down_blocks.push(Stage {
                resnets: resnets(&scope, config, input, *output, config.layers_per_block)?,
                resample: (i + 1 < channels.len()).then(|| conv(*output)).transpose()?,
            });
            input = *output;
        }
        Ok(Self {
            conv_in: layers::conv2d(scope, "conv_in", &same_conv(config.in_channels, first, 3))?,
            down_blocks,
            mid_block: Middle::from_scope(&scope.enter("mid_block"), config, last)?,
            conv_norm_out: norm(scope, "conv_norm_out", config, last)?,
            conv_out: layers::conv2d(scope, "conv_out", &same_conv(last, output, 3))?,
        })
    }

    /// `[batch, in_channels, height, width]` to `[batch, output, …]`.
    pub(crate) fn forward(&self, image: Tensor<4>) -> Tensor<4> {
        let mut x = ops::conv2d(&self.conv_in, image);
        for stage in &self.down_blocks {
            x = stage.resnets.iter().fold(x, |x, resnet| resnet.forward(x, None));
            if let Some(conv) = &stage.resample {
                x = ops::conv2d(conv, x);
            }
        }
        let x = self.mid_block.forward(x);
        ops::conv2d(&self.conv_out, ops::group_norm_silu(&self.conv_norm_out, x))
    }
}

impl Decoder {
    pub(crate) fn from_scope(scope: &Scope<'_>, config: &VaeConfig) -> Result<Self> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let mut input = last;
        let mut up_blocks = Vec::with_capacity(channels.len());
        for (i, output) in channels.iter().rev().enumerate() {
            let scope = scope.enter("up_blocks").enter(i);
            let same = same_conv(*output, *output, 3);
            let conv = || layers::conv2d(&scope.enter("upsamplers").enter(0), "conv", &same);
            up_blocks.push(Stage {
                resnets: resnets(&scope, config, input, *output, config.layers_per_block + 1)?,
                resample: (i + 1 < channels.len()).then(conv).transpose()?,
            });
            input = *output;
        }
        Ok(Self {
            conv_in: layers::conv2d(scope, "conv_in", &same_conv(config.latent_channels, last, 3))?,
            mid_block: Middle::from_scope(&scope.enter("mid_block"), config, last)?,
            up_blocks,
            conv_norm_out: norm(scope, "conv_norm_out", config, first)?,
            conv_out: layers::conv2d(scope, "conv_out", &same_conv(first, config.out_channels, 3))?,
        })
    }

    /// `[batch, latent_channels, height, width]` to a picture.
    pub(crate) fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut x = self.mid_block.forward(ops::conv2d(&self.conv_in, latents));
        for stage in &self.up_blocks {
            x = stage.resnets.iter().fold(x, |x, resnet| resnet.forward(x, None));
            if let Some(conv) = &stage.resample {
                let [_, _, height, width] = x.dims();
                x = ops::conv2d(conv, ops::upsample_nearest(x, [2 * height, 2 * width]));
            }
        }
        ops::conv2d(&self.conv_out, ops::group_norm_silu(&self.conv_norm_out, x))
    }
}

impl Middle {
    fn from_scope(scope: &Scope<'_>, config: &VaeConfig, channels: usize) -> Result<Self> {
        let resnets = scope.enter("resnets");
        let attention = scope.enter("attentions").enter(0);
        let one_head = SpatialAttentionConfig { channels, heads: 1, groups: config.norm_num_groups, eps: NORM_EPS };
        Ok(Self {
            first: resnet(&resnets.enter(0), config, channels, channels)?,
            attention: config
                .mid_block_add_attention
                .then(|| SpatialAttention::from_scope(&attention, &one_head))
                .transpose()?,
            second: resnet(&resnets.enter(1), config, channels, channels)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut x = self.first.forward(x, None);
        if let Some(attention) = &self.attention {
            x = attention.forward(x);
        }
        self.second.forward(x, None)
    }
}
