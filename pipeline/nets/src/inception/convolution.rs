//! A convolution with its batch normalisation.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Tensor, activation};

use super::Width;
use crate::error::Result;
use crate::weights::Scope;
use crate::{layers, ops};

/// Added to the variance by InceptionV3's batch normalisations.
const EPSILON: f64 = 1e-3;

/// Whether the border is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// Not at all.
    None,
    /// By half a kernel, so that a stride of one keeps the size.
    Same,
}

/// One convolution of the published network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    /// Its name in the file.
    pub name: &'static str,
    /// Output channels at the published width.
    pub channels: usize,
    /// Height and width.
    pub kernel: [usize; 2],
    pub stride: usize,
    pub padding: Padding,
}

/// torchvision's `BasicConv2d` in evaluation mode: convolution, batch normalisation, ReLU. The normalisation is
/// folded into the convolution when it is loaded.
#[derive(Module, Debug)]
pub(super) struct ConvNorm {
    convolution: Conv2d,
}

impl ConvNorm {
    /// The layer for `input` channels, and the channels that it gives.
    pub(super) fn load(scope: &Scope<'_>, layer: &Layer, input: usize, width: Width) -> Result<(Self, usize)> {
        let output = width.of(layer.channels);
        let scope = scope.enter(layer.name);
        let [rows, columns] = layer.kernel;
        let padding = match layer.padding {
            Padding::None => PaddingConfig2d::Valid,
            Padding::Same => PaddingConfig2d::Explicit(rows / 2, columns / 2, rows / 2, columns / 2),
        };
        let config = Conv2dConfig::new([input, output], layer.kernel)
            .with_stride([layer.stride; 2])
            .with_padding(padding)
            .with_bias(false);
        let mut convolution = layers::conv2d(&scope, "conv", &config)?;
        let norm = scope.enter("bn");
        let [weight, bias, mean, variance] =
            ["weight", "bias", "running_mean", "running_var"].map(|name| norm.tensor::<1>(name, [output]));
        let scale = weight? / (variance? + EPSILON).sqrt();
        convolution.bias = Some(Param::from_tensor(bias? - mean? * scale.clone()));
        let kernels = convolution.weight.val() * scale.reshape([output, 1, 1, 1]);
        convolution.weight = Param::from_tensor(kernels);
        Ok((Self { convolution }, output))
    }

    /// `[batch, input, height, width]` to `[batch, output, …]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        activation::relu(ops::conv2d(&self.convolution, x))
    }
}
