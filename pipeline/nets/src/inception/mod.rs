//! InceptionV3 as FID uses it: the network whose pooled features two sets of pictures are compared by.
//!
//! Not torchvision's InceptionV3: the weights come from the TensorFlow graph of 2015-12-05, whose average pools
//! do not count the border and whose last block pools by the maximum (pytorch-fid's `FIDInceptionA`, `C`, `E_1`,
//! `E_2`). The layout is that of `pt_inception-2015-12-05-6726825d.pth`, turned into safetensors.

mod blocks;
mod convolution;
mod input;

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::error::Result;
use crate::weights::{Scope, Weights};
use blocks::{Block, Kind, max_pool};
use convolution::{ConvNorm, Layer, Padding};
pub use input::InceptionInput;

/// Channels of the first convolution in the published network; all others are in proportion to it.
const PUBLISHED_WIDTH: usize = 32;
/// The first convolution: its width says the width of the network.
const FIRST: &str = "Conv2d_1a_3x3";

/// The stem: layers and, after some, a pool of three pixels by strides of two.
const STEM: [(Layer, bool); 5] = [
    (Layer { name: FIRST, channels: 32, kernel: [3, 3], stride: 2, padding: Padding::None }, false),
    (Layer { name: "Conv2d_2a_3x3", channels: 32, kernel: [3, 3], stride: 1, padding: Padding::None }, false),
    (Layer { name: "Conv2d_2b_3x3", channels: 64, kernel: [3, 3], stride: 1, padding: Padding::Same }, true),
    (Layer { name: "Conv2d_3b_1x1", channels: 80, kernel: [1, 1], stride: 1, padding: Padding::None }, false),
    (Layer { name: "Conv2d_4a_3x3", channels: 192, kernel: [3, 3], stride: 1, padding: Padding::None }, true),
];

/// The blocks after the stem, in order.
const BLOCKS: [(&str, Kind); 11] = [
    ("Mixed_5b", Kind::A { pool: 32 }),
    ("Mixed_5c", Kind::A { pool: 64 }),
    ("Mixed_5d", Kind::A { pool: 64 }),
    ("Mixed_6a", Kind::B),
    ("Mixed_6b", Kind::C { inner: 128 }),
    ("Mixed_6c", Kind::C { inner: 160 }),
    ("Mixed_6d", Kind::C { inner: 160 }),
    ("Mixed_6e", Kind::C { inner: 192 }),
    ("Mixed_7a", Kind::D),
    ("Mixed_7b", Kind::MeanE),
    ("Mixed_7c", Kind::MaxE),
];

/// pytorch-fid's `InceptionV3` with its default block: pictures to the features that FID and KID compare.
#[derive(Module, Debug)]
pub struct InceptionV3 {
    stem: Vec<ConvNorm>,
    blocks: Vec<Block>,
    features: usize,
}

impl InceptionV3 {
    /// Loads a safetensors file in the layout of `pt_inception-2015-12-05-6726825d.pth`. The width of the network
    /// is that of its first convolution, 32 in the published file, and all others follow from it.
    ///
    /// # Errors
    /// When the file is missing or damaged, or a tensor is missing or has another shape.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let weights = Weights::file(path.as_ref())?;
        let model = Self::from_scope(&weights.root(device))?;
        // The classifier is not part of the features; counters of batches are left over from training.
        weights.finish(&["fc.*", "AuxLogits.*", "*num_batches_tracked"])?;
        Ok(model)
    }

    fn from_scope(scope: &Scope<'_>) -> Result<Self> {
        let first = scope.shape(&format!("{FIRST}.conv.weight"));
        let width = Width(first.and_then(<[usize]>::first).copied().unwrap_or(PUBLISHED_WIDTH));
        let mut channels = 3;
        let mut stem = Vec::with_capacity(STEM.len());
        for (layer, _) in &STEM {
            let (convolution, output) = ConvNorm::load(scope, layer, channels, width)?;
            stem.push(convolution);
            channels = output;
        }
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        for (name, kind) in BLOCKS {
            let (block, output) = Block::load(&scope.enter(name), kind, channels, width)?;
            blocks.push(block);
            channels = output;
        }
        Ok(Self { stem, blocks, features: channels })
    }

    /// Width of the features: 2048 in the published network.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Prepared pictures `[batch, 3, 299, 299]` (see [`InceptionInput`]) to features `[batch, features]`, the mean
    /// of the last block over all positions.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let mut x = pictures;
        for (convolution, (_, pooled)) in self.stem.iter().zip(&STEM) {
            x = convolution.forward(x);
            if *pooled {
                x = max_pool(x, 2);
            }
        }
        for block in &self.blocks {
            x = block.forward(x);
        }
        let [batch, channels, height, width] = x.dims();
        x.reshape([batch, channels, height * width]).mean_dim(2).squeeze_dim(2)
    }
}

/// Channels of the first convolution.
#[derive(Clone, Copy, Debug)]
struct Width(usize);

impl Width {
    /// The channels of a layer that has `published` of them in the published network.
    fn of(self, published: usize) -> usize {
        published * self.0 / PUBLISHED_WIDTH
    }
}
