//! The blocks: branches side by side.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};

use super::Width;
use super::convolution::{ConvNorm, Layer, Padding};
use crate::error::Result;
use crate::weights::Scope;

/// Side of every pool's window.
const WINDOW: usize = 3;

/// A block by the letter that torchvision gives it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `FIDInceptionA`; channels of the branch that pools.
    A { pool: usize },
    /// `InceptionB`, which halves the picture.
    B,
    /// `FIDInceptionC`; channels inside the branches of seven pixels.
    C { inner: usize },
    /// `InceptionD`, which halves the picture.
    D,
    /// `FIDInceptionE_1`.
    MeanE,
    /// `FIDInceptionE_2`, whose pool takes the maximum.
    MaxE,
}

/// What a branch does to its input first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    None,
    /// The mean of the window's pixels inside the picture.
    Mean,
    /// The maximum, at the same size.
    Max,
    /// The maximum, at half the size.
    Half,
}

/// Layers one after the other, then those of `fork` side by side.
struct Plan {
    pool: Pool,
    chain: Vec<Layer>,
    fork: Vec<Layer>,
}

/// Branches whose outputs are put together.
#[derive(Module, Debug)]
pub(super) struct Block {
    branches: Vec<Branch>,
}

#[derive(Module, Debug)]
struct Branch {
    chain: Vec<ConvNorm>,
    fork: Vec<ConvNorm>,
    #[module(skip)]
    pool: Pool,
}

impl Block {
    /// The block for `input` channels, and the channels that it gives.
    pub(super) fn load(scope: &Scope<'_>, kind: Kind, input: usize, width: Width) -> Result<(Self, usize)> {
        let (mut branches, mut output) = (Vec::new(), 0);
        for plan in plans(kind) {
            let (branch, channels) = Branch::load(scope, &plan, input, width)?;
            branches.push(branch);
            output += channels;
        }
        Ok((Self { branches }, output))
    }

    /// `[batch, input, height, width]` to `[batch, output, …]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        Tensor::cat(self.branches.iter().map(|branch| branch.forward(x.clone())).collect(), 1)
    }
}

impl Branch {
    fn load(scope: &Scope<'_>, plan: &Plan, input: usize, width: Width) -> Result<(Self, usize)> {
        let (mut chain, mut channels) = (Vec::new(), input);
        for layer in &plan.chain {
            let (convolution, output) = ConvNorm::load(scope, layer, channels, width)?;
            chain.push(convolution);
            channels = output;
        }
        let (mut fork, mut together) = (Vec::new(), 0);
        for layer in &plan.fork {
            let (convolution, output) = ConvNorm::load(scope, layer, channels, width)?;
            fork.push(convolution);
            together += output;
        }
        let output = if fork.is_empty() { channels } else { together };
        Ok((Self { chain, fork, pool: plan.pool }, output))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = match self.pool {
            Pool::None => x,
            Pool::Mean => mean_pool(x),
            Pool::Max => max_pool(x, 1),
            Pool::Half => max_pool(x, 2),
        };
        let x = self.chain.iter().fold(x, |x, layer| layer.forward(x));
        match self.fork.as_slice() {
            [] => x,
            fork => Tensor::cat(fork.iter().map(|layer| layer.forward(x.clone())).collect(), 1),
        }
    }
}

/// The largest of three by three pixels; at a stride of one the picture keeps its size.
pub(super) fn max_pool(x: Tensor<4>, stride: usize) -> Tensor<4> {
    let pad = usize::from(stride == 1);
    let options = MaxPoolOptions {
        kernel_size: [WINDOW; 2],
        stride: [stride; 2],
        padding: [(pad, pad); 2],
        dilation: [1; 2],
        ceil_mode: false,
    };
    max_pool2d(x, options)
}

/// The mean of three by three pixels, of those that lie inside the picture.
fn mean_pool(x: Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions {
        kernel_size: [WINDOW; 2],
        stride: [1; 2],
        padding: [(1, 1); 2],
        count_include_pad: false,
        ceil_mode: false,
    };
    avg_pool2d(x, options)
}

const fn layer(name: &'static str, channels: usize, kernel: [usize; 2]) -> Layer {
    Layer { name, channels, kernel, stride: 1, padding: Padding::Same }
}

/// A convolution of three pixels that halves the picture.
const fn halving(name: &'static str, channels: usize) -> Layer {
    Layer { name, channels, kernel: [3, 3], stride: 2, padding: Padding::None }
}

fn chain(layers: &[Layer]) -> Plan {
    Plan { pool: Pool::None, chain: layers.to_vec(), fork: Vec::new() }
}

fn pooled(pool: Pool, layers: &[Layer]) -> Plan {
    Plan { pool, ..chain(layers) }
}

fn forked(layers: &[Layer], fork: &[Layer]) -> Plan {
    Plan { fork: fork.to_vec(), ..chain(layers) }
}

/// The branches of a block in the order of their outputs (torchvision, `inception.py`).
fn plans(kind: Kind) -> Vec<Plan> {
    match kind {
        Kind::A { pool } => vec![
            chain(&[layer("branch1x1", 64, [1, 1])]),
            chain(&[layer("branch5x5_1", 48, [1, 1]), layer("branch5x5_2", 64, [5, 5])]),
            chain(&[
                layer("branch3x3dbl_1", 64, [1, 1]),
                layer("branch3x3dbl_2", 96, [3, 3]),
                layer("branch3x3dbl_3", 96, [3, 3]),
            ]),
            pooled(Pool::Mean, &[layer("branch_pool", pool, [1, 1])]),
        ],
        Kind::B => vec![
            chain(&[halving("branch3x3", 384)]),
            chain(&[
                layer("branch3x3dbl_1", 64, [1, 1]),
                layer("branch3x3dbl_2", 96, [3, 3]),
                halving("branch3x3dbl_3", 96),
            ]),
            pooled(Pool::Half, &[]),
        ],
        Kind::C { inner } => vec![
            chain(&[layer("branch1x1", 192, [1, 1])]),
            chain(&[
                layer("branch7x7_1", inner, [1, 1]),
                layer("branch7x7_2", inner, [1, 7]),
                layer("branch7x7_3", 192, [7, 1]),
            ]),
            chain(&[
                layer("branch7x7dbl_1", inner, [1, 1]),
                layer("branch7x7dbl_2", inner, [7, 1]),
                layer("branch7x7dbl_3", inner, [1, 7]),
                layer("branch7x7dbl_4", inner, [7, 1]),
                layer("branch7x7dbl_5", 192, [1, 7]),
            ]),
            pooled(Pool::Mean, &[layer("branch_pool", 192, [1, 1])]),
        ],
        Kind::D => vec![
            chain(&[layer("branch3x3_1", 192, [1, 1]), halving("branch3x3_2", 320)]),
            chain(&[
                layer("branch7x7x3_1", 192, [1, 1]),
                layer("branch7x7x3_2", 192, [1, 7]),
                layer("branch7x7x3_3", 192, [7, 1]),
                halving("branch7x7x3_4", 192),
            ]),
            pooled(Pool::Half, &[]),
        ],
        Kind::MeanE => last(Pool::Mean),
        Kind::MaxE => last(Pool::Max),
    }
}

fn last(pool: Pool) -> Vec<Plan> {
    vec![
        chain(&[layer("branch1x1", 320, [1, 1])]),
        forked(
            &[layer("branch3x3_1", 384, [1, 1])],
            &[layer("branch3x3_2a", 384, [1, 3]), layer("branch3x3_2b", 384, [3, 1])],
        ),
        forked(
            &[layer("branch3x3dbl_1", 448, [1, 1]), layer("branch3x3dbl_2", 384, [3, 3])],
            &[layer("branch3x3dbl_3a", 384, [1, 3]), layer("branch3x3dbl_3b", 384, [3, 1])],
        ),
        pooled(pool, &[layer("branch_pool", 192, [1, 1])]),
    ]
}
