//! Where a position lies: `CartesianPositionalEmbedding` of Latent Slot Diffusion.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;

use crate::error::Result;
use crate::resnet::pointwise;
use crate::weights::Scope;

/// Numbers that say where a position lies.
const COORDINATES: usize = 4;

/// What is added to the queries of every attention layer (`pos_type` of `UNet2DConditionModelWithPos`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionType {
    /// Nothing, as in Stable Diffusion.
    #[default]
    None,
    /// A linear map of (row, column, 1 − row, 1 − column).
    Cartesian,
}

/// A linear map of (row, column, 1 − row, 1 − column) of the centre of each position.
#[derive(Module, Debug)]
pub(super) struct Position {
    projection: Linear,
}

impl Position {
    /// Reads `pos_emb.1.projection`; the sequence around it only reshapes, and the buffer `pe` is computed.
    pub(super) fn from_scope(scope: &Scope<'_>, channels: usize) -> Result<Self> {
        let scope = scope.enter("pos_emb").enter(1);
        Ok(Self { projection: pointwise(&scope, "projection", COORDINATES, channels)? })
    }

    /// `[batch, height · width, channels]` to the same, positions in reading order.
    pub(super) fn forward(&self, x: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<3> {
        let grid = TensorData::new(grid(height, width), [1, height * width, COORDINATES]);
        let grid = Tensor::from_data(grid, &x.device());
        x + self.projection.forward(grid)
    }
}

/// Row-major `[height · width, 4]`.
fn grid(height: usize, width: usize) -> Vec<f32> {
    let centre = |i: usize, n: usize| (i as f32 + 0.5) / n as f32;
    (0..height * width)
        .flat_map(|at| {
            let (row, column) = (centre(at / width, height), centre(at % width, width));
            [row, column, 1.0 - row, 1.0 - column]
        })
        .collect()
}
