//! AlexNet and VGG16 up to their last ReLU.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Tensor, activation};

use crate::error::Result;
use crate::weights::{Scope, Weights};
use crate::{layers, ops};

/// Which network the features come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrunkKind {
    /// AlexNet (torchvision).
    AlexNet,
    /// VGG16 without batch normalisation (torchvision).
    Vgg16,
}

/// One convolution, its ReLU, and what comes before.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// Index in torchvision's `features`.
    index: usize,
    /// Channels, as a multiple of the first layer's.
    times: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    /// Whether a pool comes before.
    pooled: bool,
    /// Whether its ReLU is one of the five.
    kept: bool,
}

const fn step(index: usize, times: usize, kernel: usize, pooled: bool, kept: bool) -> Step {
    Step { index, times, kernel, stride: 1, padding: kernel / 2, pooled, kept }
}

const ALEXNET: [Step; 5] = [
    Step { index: 0, times: 1, kernel: 11, stride: 4, padding: 2, pooled: false, kept: true },
    step(3, 3, 5, true, true),
    step(6, 6, 3, true, true),
    step(8, 4, 3, false, true),
    step(10, 4, 3, false, true),
];

const VGG16: [Step; 13] = [
    step(0, 1, 3, false, false),
    step(2, 1, 3, false, true),
    step(5, 2, 3, true, false),
    step(7, 2, 3, false, true),
    step(10, 4, 3, true, false),
    step(12, 4, 3, false, false),
    step(14, 4, 3, false, true),
    step(17, 8, 3, true, false),
    step(19, 8, 3, false, false),
    step(21, 8, 3, false, true),
    step(24, 8, 3, true, false),
    step(26, 8, 3, false, false),
    step(28, 8, 3, false, true),
];

impl TrunkKind {
    fn steps(self) -> &'static [Step] {
        match self {
            Self::AlexNet => &ALEXNET,
            Self::Vgg16 => &VGG16,
        }
    }

    /// Side and stride of its pools.
    fn pool(self) -> [usize; 2] {
        match self {
            Self::AlexNet => [3, 2],
            Self::Vgg16 => [2, 2],
        }
    }

    /// Side in pixels of the smallest picture that reaches the last layer.
    pub(super) fn least_side(self) -> usize {
        match self {
            Self::AlexNet => 31,
            Self::Vgg16 => 16,
        }
    }
}

/// How a file calls the layers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Names {
    /// The package `lpips`: `net.slice3.12.weight`.
    Slices,
    /// torchvision: `features.12.weight`.
    Features,
}

impl Names {
    /// Those of a file; torchvision's where it has neither.
    pub(super) fn of(weights: &Weights) -> Self {
        match weights.contains("net.slice1.0.weight") {
            true => Self::Slices,
            false => Self::Features,
        }
    }

    fn layer(self, slice: usize, index: usize) -> String {
        match self {
            Self::Slices => format!("net.slice{}.{index}", slice + 1),
            Self::Features => format!("features.{index}"),
        }
    }
}

/// A network whose features are compared.
#[derive(Module, Debug)]
pub(super) struct Trunk {
    convolutions: Vec<Conv2d>,
    #[module(skip)]
    kind: TrunkKind,
    width: usize,
}

impl Trunk {
    /// Loads the network that the first kernel's size says, at the width that it says.
    pub(super) fn load(scope: &Scope<'_>, names: Names) -> Result<Self> {
        let first = scope.shape(&format!("{}.weight", names.layer(0, 0)));
        let kind = match first {
            Some([_, _, 11, 11]) => TrunkKind::AlexNet,
            _ => TrunkKind::Vgg16,
        };
        let width = first.and_then(<[usize]>::first).copied().unwrap_or(64);
        let (mut input, mut slice, mut convolutions) = (3, 0, Vec::new());
        for step in kind.steps() {
            let output = step.times * width;
            let padding = step.padding;
            let config = Conv2dConfig::new([input, output], [step.kernel; 2])
                .with_stride([step.stride; 2])
                .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding));
            convolutions.push(layers::conv2d(scope, &names.layer(slice, step.index), &config)?);
            slice += usize::from(step.kept);
            input = output;
        }
        Ok(Self { convolutions, kind, width })
    }

    pub(super) fn kind(&self) -> TrunkKind {
        self.kind
    }

    /// Channels of the layers that are compared.
    pub(super) fn widths(&self) -> Vec<usize> {
        let kept = self.kind.steps().iter().filter(|step| step.kept);
        kept.map(|step| step.times * self.width).collect()
    }

    /// `[batch, 3, height, width]` to the features of the five layers.
    pub(super) fn forward(&self, pictures: Tensor<4>) -> Vec<Tensor<4>> {
        let (mut x, mut kept) = (pictures, Vec::with_capacity(5));
        for (step, convolution) in self.kind.steps().iter().zip(&self.convolutions) {
            if step.pooled {
                x = pool(x, self.kind.pool());
            }
            x = activation::relu(ops::conv2d(convolution, x));
            if step.kept {
                kept.push(x.clone());
            }
        }
        kept
    }
}

fn pool(x: Tensor<4>, [side, stride]: [usize; 2]) -> Tensor<4> {
    let options = MaxPoolOptions {
        kernel_size: [side; 2],
        stride: [stride; 2],
        padding: [(0, 0); 2],
        dilation: [1; 2],
        ceil_mode: false,
    };
    max_pool2d(x, options)
}
