//! Residual networks of basic blocks: torchvision's and timm's `ResNet` without its classifier, and the
//! variant of SAVi that plain Slot Attention is trained with.

mod config;

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, activation};

pub use config::{Norm, ResNet34Config};

use crate::error::Result;
use crate::weights::{Scope, Start, Weights};
use crate::{layers, ops};

/// ε of every normalisation.
const NORM_EPS: f64 = 1e-5;
/// Channels of a picture.
const PICTURE: usize = 3;
/// Side of the first convolution.
const STEM_KERNEL: usize = 7;
/// Side of the pooling window.
const POOL_KERNEL: usize = 3;

/// The network up to its last stage.
#[derive(Module, Debug)]
pub struct ResNet34 {
    conv1: Conv2d,
    bn1: Normal,
    stages: Vec<Vec<Block>>,
    #[module(skip)]
    pool_stride: usize,
    #[module(skip)]
    downscale: usize,
}

/// Two convolutions and what goes around them.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: Normal,
    conv2: Conv2d,
    bn2: Normal,
    downsample: Option<Shortcut>,
}

/// The way around a block that changes the size.
#[derive(Module, Debug)]
struct Shortcut {
    conv: Conv2d,
    norm: Normal,
}

/// A normalisation.
#[derive(Module, Debug)]
enum Normal {
    Batch(BatchNorm),
    Group(GroupNorm),
}

/// `torch.nn.BatchNorm2d` in evaluation mode.
#[derive(Module, Debug)]
struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
}

impl ResNet34 {
    /// Reads `model.safetensors` in `folder`, and `config.json` where there is one.
    ///
    /// # Errors
    /// When a file is damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let config = ResNet34Config::read(&folder)?;
        let weights = Weights::open(folder, "model")?;
        let model = Self::from_scope(&weights.root(device), &config)?;
        weights.finish(&["fc.*", "*.num_batches_tracked"])?;
        Ok(model)
    }

    /// Takes the network's weights from a scope.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn from_scope(scope: &Scope<'_>, config: &ResNet34Config) -> Result<Self> {
        let mut input = config.width;
        let mut stages = Vec::with_capacity(config.depths.len());
        for (stage, depth) in config.depths.iter().enumerate() {
            let scope = scope.enter(format!("layer{}", stage + 1));
            let output = config.channels(stage);
            let mut blocks = Vec::with_capacity(*depth);
            for index in 0..*depth {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                let block = Block::from_scope(&scope.enter(index), config.norm, [input, output], stride)?;
                blocks.push(block);
                input = output;
            }
            stages.push(blocks);
        }
        let stem = square(PICTURE, config.width, STEM_KERNEL, config.stem_stride);
        Ok(Self {
            conv1: layers::conv2d(scope, "conv1", &stem)?,
            bn1: Normal::from_scope(scope, "bn1", config.norm, config.width)?,
            stages,
            pool_stride: config.pool_stride,
            downscale: config.downscale(),
        })
    }

    /// How a tensor starts where the network is trained from scratch, as timm starts it: convolutions
    /// N(0, 2 / fan_out), the last normalisation of a block at zero so that blocks begin as identities.
    pub fn start(name: &str, shape: &[usize], default: Start) -> Start {
        match shape {
            [output, _, height, width] => {
                let fan_out = (output * height * width) as f32;
                Start::Normal((2.0 / fan_out).sqrt())
            }
            _ if name.ends_with(".bn2.weight") => Start::Constant(0.0),
            _ => default,
        }
    }

    /// Normalised pictures `[batch, 3, height, width]` to the last stage's features
    /// `[batch, width, height / downscale, width / downscale]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        let x = ops::conv2d(&self.conv1, pictures);
        let x = activation::relu(self.bn1.forward(x));
        let (kernel, pad) = (POOL_KERNEL, POOL_KERNEL / 2);
        let pool = MaxPoolOptions::new([kernel, kernel])
            .with_stride([self.pool_stride, self.pool_stride])
            .with_padding([pad, pad]);
        let x = max_pool2d(x, pool);
        let blocks = self.stages.iter().flatten();
        blocks.fold(x, |x, block| block.forward(x))
    }

    /// Width of the features.
    pub fn width(&self) -> usize {
        let last = self.stages.last().and_then(|blocks| blocks.last());
        last.map_or(0, |block| block.conv2.weight.dims()[0])
    }

    /// Pixels of a picture's side for each position of the features.
    pub fn downscale(&self) -> usize {
        self.downscale
    }
}

impl Block {
    fn from_scope(scope: &Scope<'_>, norm: Norm, [input, output]: [usize; 2], stride: usize) -> Result<Self> {
        let changes = stride != 1 || input != output;
        Ok(Self {
            conv1: layers::conv2d(scope, "conv1", &square(input, output, 3, stride))?,
            bn1: Normal::from_scope(scope, "bn1", norm, output)?,
            conv2: layers::conv2d(scope, "conv2", &square(output, output, 3, 1))?,
            bn2: Normal::from_scope(scope, "bn2", norm, output)?,
            downsample: changes
                .then(|| Shortcut::from_scope(&scope.enter("downsample"), norm, [input, output], stride))
                .transpose()?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let hidden = ops::conv2d(&self.conv1, x.clone());
        let hidden = activation::relu(self.bn1.forward(hidden));
        let hidden = self.bn2.forward(ops::conv2d(&self.conv2, hidden));
        let around = match &self.downsample {
            Some(shortcut) => shortcut.norm.forward(ops::conv2d(&shortcut.conv, x)),
            None => x,
        };
        activation::relu(hidden + around)
    }
}

impl Shortcut {
    fn from_scope(scope: &Scope<'_>, norm: Norm, [input, output]: [usize; 2], stride: usize) -> Result<Self> {
        Ok(Self {
            conv: layers::conv2d(scope, "0", &square(input, output, 1, stride))?,
            norm: Normal::from_scope(scope, "1", norm, output)?,
        })
    }
}

impl Normal {
    fn from_scope(scope: &Scope<'_>, name: &str, norm: Norm, channels: usize) -> Result<Self> {
        Ok(match norm {
            Norm::Group(groups) => {
                let config = GroupNormConfig::new(groups, channels).with_epsilon(NORM_EPS);
                Self::Group(layers::group_norm(scope, name, &config)?)
            }
            Norm::Batch => {
                let scope = scope.enter(name);
                let one = |name| scope.param(name, [channels]);
                Self::Batch(BatchNorm {
                    weight: one("weight")?,
                    bias: one("bias")?,
                    running_mean: one("running_mean")?,
                    running_var: one("running_var")?,
                })
            }
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Group(norm) => ops::group_norm(norm, x),
            Self::Batch(norm) => {
                let scale = norm.weight.val() / (norm.running_var.val() + NORM_EPS).sqrt();
                let shift = norm.bias.val() - norm.running_mean.val() * scale.clone();
                let by_channel = |values: Tensor<1>| {
                    let channels = values.dims()[0];
                    values.reshape([1, channels, 1, 1])
                };
                x * by_channel(scale) + by_channel(shift)
            }
        }
    }
}

/// A square convolution without bias that pads by half its kernel.
fn square(input: usize, output: usize, kernel: usize, stride: usize) -> Conv2dConfig {
    let pad = kernel / 2;
    Conv2dConfig::new([input, output], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
}
