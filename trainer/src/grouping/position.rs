//! Position embedding of the tokens (`CartesianPositionalEmbedding` of Latent Slot Diffusion).

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use glass_schemas::spec::trainer::Position;

use super::{Coordinates, SoftPosition};
use crate::layers::Initial;

/// A way to tell slots where a token lies: one variant a socket.
#[derive(Module, Debug)]
pub enum TokenPosition {
    /// Centres of the tokens.
    Grid(GridPosition),
    /// Coordinates that reach the edges.
    Soft(SoftPosition),
}

impl TokenPosition {
    /// The one that the spec names, for features of a width; none where it names none.
    pub fn new(kind: Position, initial: &Initial, size: usize) -> Option<Self> {
        let soft = |coordinates| SoftPosition::new(initial, "pos", coordinates, size);
        match kind {
            Position::None => None,
            Position::Grid => Some(Self::Grid(GridPosition::new(initial, "pos", size))),
            Position::Soft => Some(Self::Soft(soft(Coordinates::FromEdges))),
            Position::Savi => Some(Self::Soft(soft(Coordinates::Centred))),
        }
    }

    /// The embedding of `side · side` tokens in row-major order, `[1, tokens, size]`.
    pub fn forward(&self, side: usize, device: &Device) -> Tensor<3> {
        match self {
            Self::Grid(grid) => grid.forward(side, device),
            Self::Soft(soft) => soft.forward(side, device).unsqueeze(),
        }
    }
}

/// A linear map of (row, column, 1 − row, 1 − column) of each token's centre.
#[derive(Module, Debug)]
pub struct GridPosition {
    /// `[4, size]`; a 1 × 1 convolution in the published checkpoints.
    pub weight: Param<Tensor<2>>,
    /// `[size]`
    pub bias: Param<Tensor<1>>,
}

impl GridPosition {
    /// U(±1/√4), PyTorch's default for a convolution of four channels.
    pub fn new(initial: &Initial, name: &str, size: usize) -> Self {
        let scope = initial.scope(name).scope("projection");
        Self { weight: scope.uniform("weight", [4, size], 0.5), bias: scope.uniform("bias", [size], 0.5) }
    }

    /// The embedding of `side · side` tokens in row-major order, `[1, tokens, size]`.
    pub fn forward(&self, side: usize, device: &Device) -> Tensor<3> {
        let grid = Tensor::<2>::from_data(TensorData::new(grid(side), [side * side, 4]), device);
        (grid.matmul(self.weight.val()) + self.bias.val().unsqueeze()).unsqueeze()
    }
}

/// Row-major `[side · side, 4]`.
pub fn grid(side: usize) -> Vec<f32> {
    let centre = |i: usize| (i as f32 + 0.5) / side as f32;
    (0..side * side)
        .flat_map(|token| {
            let (row, column) = (centre(token / side), centre(token % side));
            [row, column, 1.0 - row, 1.0 - column]
        })
        .collect()
}
