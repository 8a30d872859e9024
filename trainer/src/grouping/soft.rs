//! Position embedding by a linear map of coordinates that reach the edges (`SoftPositionEmbed`).

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::layers::{Bias, Initial, Linear};

/// How a position is written down; coordinates of the first and the last row are the ends of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// (row, column) within [−1, 1] (SAVi).
    Centred,
    /// (row, column, 1 − row, 1 − column) within [0, 1] (Slot Attention).
    FromEdges,
}

impl Coordinates {
    /// How many numbers that is.
    pub const fn count(self) -> usize {
        match self {
            Self::Centred => 2,
            Self::FromEdges => 4,
        }
    }

    /// Row-major `[side · side, count]`.
    pub fn grid(self, side: usize) -> Vec<f32> {
        // `torch.linspace`: from both ends to the middle.
        let along = |i: usize| {
            let steps = side.saturating_sub(1).max(1) as f32;
            match i < side / 2 {
                true => i as f32 / steps,
                false => 1.0 - (side - 1 - i) as f32 / steps,
            }
        };
        (0..side * side)
            .flat_map(|token| {
                let (row, column) = (along(token / side), along(token % side));
                match self {
                    Self::Centred => vec![(row - 0.5) * 2.0, (column - 0.5) * 2.0],
                    Self::FromEdges => vec![row, column, 1.0 - row, 1.0 - column],
                }
            })
            .collect()
    }
}

/// A linear map of the coordinates of each token.
#[derive(Module, Debug)]
pub struct SoftPosition {
    dense: Linear,
    #[module(skip)]
    coordinates: Coordinates,
}

impl SoftPosition {
    /// PyTorch's initial values.
    pub fn new(initial: &Initial, name: &str, coordinates: Coordinates, size: usize) -> Self {
        let scope = initial.scope(name);
        Self { dense: Linear::new(&scope, "dense", coordinates.count(), size, Bias::Uniform), coordinates }
    }

    /// The embedding of `side · side` tokens in row-major order, `[tokens, size]`.
    pub fn forward(&self, side: usize, device: &Device) -> Tensor<2> {
        let shape = [side * side, self.coordinates.count()];
        let grid = TensorData::new(self.coordinates.grid(side), shape);
        self.dense.forward(Tensor::from_data(grid, device))
    }
}
