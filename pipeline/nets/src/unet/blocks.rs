//! Upstream `(CrossAttn)DownBlock2D`, `UNetMidBlock2D(CrossAttn)` and `(CrossAttn)UpBlock2D`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use super::config::{DownBlockType, Level, MidBlockType, UNetConfig, UpBlockType};
use super::transformer::{Surroundings, Transformer};
use crate::error::Result;
use crate::resnet::{ResnetBlock, ResnetConfig, halving_conv, same_conv};
use crate::weights::Scope;
use crate::{layers, ops};

#[derive(Module, Debug)]
pub(super) struct DownBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
    downsampler: Option<Conv2d>,
}

#[derive(Module, Debug)]
pub(super) struct MidBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
}

#[derive(Module, Debug)]
pub(super) struct UpBlock {
    resnets: Vec<ResnetBlock>,
    attentions: Vec<Transformer>,
    upsampler: Option<Conv2d>,
}

/// Fills the lists of a block: one residual block per (input, output), transformers where asked for.
fn fill(
    scope: &Scope<'_>,
    config: &UNetConfig,
    level: &Level,
    channels: &[(usize, usize)],
    transformers: usize,
) -> Result<(Vec<ResnetBlock>, Vec<Transformer>)> {
    let resnet = |(i, (input, output)): (usize, &(usize, usize))| {
        let config = ResnetConfig {
            input: *input,
            output: *output,
            time: Some(config.time_embedding_dim),
            groups: config.norm_groups,
            eps: config.norm_eps,
        };
        ResnetBlock::from_scope(&scope.enter("resnets").enter(i), &config)
    };
    let resnets = channels.iter().enumerate().map(resnet).collect::<Result<_>>()?;
    let attentions = (0..transformers)
        .map(|i| Transformer::from_scope(&scope.enter("attentions").enter(i), level, config.norm_groups))
        .collect::<Result<_>>()?;
    Ok((resnets, attentions))
}

impl DownBlock {
    /// The block of level `index`, whose input has `input` channels.
    pub(super) fn from_scope(scope: &Scope<'_>, config: &UNetConfig, index: usize, input: usize) -> Result<Self> {
        let level = &config.levels[index];
        let channels: Vec<_> =
            (0..level.layers).map(|i| (if i == 0 { input } else { level.channels }, level.channels)).collect();
        let transformers = match config.down[index] {
            DownBlockType::CrossAttnDownBlock2D => level.layers,
            DownBlockType::DownBlock2D => 0,
        };
        let (resnets, attentions) = fill(scope, config, level, &channels, transformers)?;
        let downsampler = (index + 1 < config.levels.len())
            .then(|| layers::conv2d(&scope.enter("downsamplers").enter(0), "conv", &halving_conv(level.channels)))
            .transpose()?;
        Ok(Self { resnets, attentions, downsampler })
    }

    /// Pushes every intermediate result on `skips`.
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        skips: &mut Vec<Tensor<4>>,
        around: &mut Surroundings<'_>,
    ) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward_dropping(x, Some(time), around.dropping);
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(x, around);
            }
            skips.push(x.clone());
        }
        if let Some(downsampler) = &self.downsampler {
            x = ops::conv2d(downsampler, x);
            skips.push(x.clone());
        }
        x
    }
}

impl MidBlock {
    pub(super) fn from_scope(scope: &Scope<'_>, config: &UNetConfig, level: &Level) -> Result<Self> {
        let same = (level.channels, level.channels);
        let (channels, transformers) = match config.mid {
            MidBlockType::UNetMidBlock2DCrossAttn => (vec![same; 2], 1),
            MidBlockType::UNetMidBlock2D => (vec![same], 0),
        };
        let (resnets, attentions) = fill(scope, config, level, &channels, transformers)?;
        Ok(Self { resnets, attentions })
    }

    pub(super) fn forward(&self, mut x: Tensor<4>, time: &Tensor<2>, around: &mut Surroundings<'_>) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            x = resnet.forward_dropping(x, Some(time), around.dropping);
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(x, around);
            }
        }
        x
    }
}

impl UpBlock {
    /// The `index`-th block on the way up. `input` are the channels that arrive from below, `skips` those
    /// that the way down has left, the last one first in use.
    pub(super) fn from_scope(
        scope: &Scope<'_>,
        config: &UNetConfig,
        index: usize,
        input: usize,
        skips: &mut Vec<usize>,
    ) -> Result<Self> {
        let level = &config.levels[config.levels.len() - 1 - index];
        let mut arriving = input;
        let mut channels = Vec::new();
        for _ in 0..=level.layers {
            channels.push((arriving + skips.pop().unwrap_or(0), level.channels));
            arriving = level.channels;
        }
        let transformers = match config.up[index] {
            UpBlockType::CrossAttnUpBlock2D => channels.len(),
            UpBlockType::UpBlock2D => 0,
        };
        let (resnets, attentions) = fill(scope, config, level, &channels, transformers)?;
        let conv = same_conv(level.channels, level.channels, 3);
        let upsampler = (index + 1 < config.levels.len())
            .then(|| layers::conv2d(&scope.enter("upsamplers").enter(0), "conv", &conv))
            .transpose()?;
        Ok(Self { resnets, attentions, upsampler })
    }

    /// Takes its skip connections off `skips`.
    pub(super) fn forward(
        &self,
        mut x: Tensor<4>,
        time: &Tensor<2>,
        skips: &mut Vec<Tensor<4>>,
        around: &mut Surroundings<'_>,
    ) -> Tensor<4> {
        for (i, resnet) in self.resnets.iter().enumerate() {
            if let Some(skip) = skips.pop() {
                x = Tensor::cat(vec![x, skip], 1);
            }
            x = resnet.forward_dropping(x, Some(time), around.dropping);
            if let Some(attention) = self.attentions.get(i) {
                x = attention.forward(x, around);
            }
        }
        match &self.upsampler {
            // To the size of the next skip connection: with odd sizes that is not the double.
            Some(conv) => {
                let [_, _, height, width] = skips.last().map_or_else(|| x.dims().map(|n| 2 * n), Tensor::dims);
                ops::conv2d(conv, ops::upsample_nearest(x, [height, width]))
            }
            None => x,
        }
    }
}
