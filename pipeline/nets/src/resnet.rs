//! Convolutional blocks that the UNet and the autoencoder share.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::Tensor;

use crate::dropout::{Dropping, Whole};
use crate::error::Result;
use crate::weights::Scope;
use crate::{layers, ops};

/// Upstream `ResnetBlock2D`: two normalised convolutions around an optional time embedding.
#[derive(Module, Debug)]
pub(crate) struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
}

/// What a [`ResnetBlock`] is made of.
#[derive(Debug, Clone)]
pub(crate) struct ResnetConfig {
    pub input: usize,
    pub output: usize,
    /// Width of the time embedding, where there is one.
    pub time: Option<usize>,
    pub groups: usize,
    pub eps: f64,
}

impl ResnetBlock {
    pub(crate) fn from_scope(scope: &Scope<'_>, config: &ResnetConfig) -> Result<Self> {
        let ResnetConfig { input, output, time, groups, eps } = *config;
        let norm =
            |name, channels| layers::group_norm(scope, name, &GroupNormConfig::new(groups, channels).with_epsilon(eps));
        let shortcut = Conv2dConfig::new([input, output], [1, 1]);
        Ok(Self {
            norm1: norm("norm1", input)?,
            conv1: layers::conv2d(scope, "conv1", &same_conv(input, output, 3))?,
            time_emb_proj: time
                .map(|time| layers::linear(scope, "time_emb_proj", &LinearConfig::new(time, output)))
                .transpose()?,
            norm2: norm("norm2", output)?,
            conv2: layers::conv2d(scope, "conv2", &same_conv(output, output, 3))?,
            conv_shortcut: (input != output).then(|| layers::conv2d(scope, "conv_shortcut", &shortcut)).transpose()?,
        })
    }

    /// `x` `[batch, input, height, width]`, `time` the activated embedding `[batch, time]`.
    pub(crate) fn forward(&self, x: Tensor<4>, time: Option<&Tensor<2>>) -> Tensor<4> {
        self.forward_dropping(x, time, &mut Whole)
    }

    /// The same with dropout.
    pub(crate) fn forward_dropping(
        &self,
        x: Tensor<4>,
        time: Option<&Tensor<2>>,
        dropping: &mut dyn Dropping,
    ) -> Tensor<4> {
        let mut hidden = ops::conv2d(&self.conv1, ops::group_norm_silu(&self.norm1, x.clone()));
        if let (Some(projection), Some(time)) = (&self.time_emb_proj, time) {
            let [batch, channels, _, _] = hidden.dims();
            hidden = hidden + projection.forward(time.clone()).reshape([batch, channels, 1, 1]);
        }
        let hidden = dropping.drop(ops::group_norm_silu(&self.norm2, hidden));
        let hidden = ops::conv2d(&self.conv2, hidden);
        match &self.conv_shortcut {
            Some(shortcut) => ops::conv2d(shortcut, x) + hidden,
            None => x + hidden,
        }
    }
}

/// A convolution that keeps height and width.
pub(crate) fn same_conv(input: usize, output: usize, kernel: usize) -> Conv2dConfig {
    let pad = kernel / 2;
    Conv2dConfig::new([input, output], [kernel, kernel]).with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
}

/// A convolution that halves height and width, padded on every side (upstream `Downsample2D`, padding 1).
pub(crate) fn halving_conv(channels: usize) -> Conv2dConfig {
    same_conv(channels, channels, 3).with_stride([2, 2])
}

/// A projection of every position: a `Linear`, or the 1×1 convolution that older checkpoints have in its
/// place, which computes the same.
pub(crate) fn pointwise(scope: &Scope<'_>, name: &str, input: usize, output: usize) -> Result<Linear> {
    let inner = scope.enter(name);
    if inner.shape("weight").is_none_or(|shape| shape.len() != 4) {
        return layers::linear(scope, name, &LinearConfig::new(input, output));
    }
    let weight = inner.tensor("weight", [output, input, 1, 1])?;
    Ok(Linear {
        weight: burn::module::Param::from_tensor(weight.reshape([output, input]).transpose()),
        bias: Some(inner.param("bias", [output])?),
    })
}
