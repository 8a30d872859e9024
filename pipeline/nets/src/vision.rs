//! The way into a vision transformer: patches and positions.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::{NetsError, Result};
use crate::weights::Scope;

/// Cuts a picture into square patches and projects each.
///
/// Upstream uses a convolution whose stride is its kernel; as patches do not overlap, that is one matrix
/// product.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    projection: Linear,
    channels: usize,
    patch: usize,
}

/// Whether the projection of the patches adds a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchBias {
    /// It does.
    Present,
    /// It does not, as in CLIP.
    Absent,
}

impl PatchEmbedding {
    /// Takes `{name}.weight` `[dim, channels, patch, patch]` and `{name}.bias` `[dim]`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(scope: &Scope, name: &str, channels: usize, patch: usize, dim: usize) -> Result<Self> {
        Self::load_with(scope, name, [channels, patch, dim], PatchBias::Present)
    }

    /// The same for `[channels, patch, dim]`, with or without the bias.
    ///
    /// # Errors
    /// As [`PatchEmbedding::load`].
    pub fn load_with(scope: &Scope, name: &str, [channels, patch, dim]: [usize; 3], bias: PatchBias) -> Result<Self> {
        let scope = scope.enter(name);
        let kernel = scope.tensor("weight", [dim, channels, patch, patch])?;
        // [dim, channels * patch * patch] -> [channels * patch * patch, dim]
        let weight = kernel.reshape([dim, channels * patch * patch]).transpose();
        let projection = Linear {
            weight: Param::from_tensor(weight),
            bias: match bias {
                PatchBias::Present => Some(scope.param("bias", [dim])?),
                PatchBias::Absent => None,
            },
        };
        Ok(Self { projection, channels, patch })
    }

    /// The rows and columns of patches in pictures of `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the picture does not divide into patches or has other channels.
    pub fn grid(&self, pixels: &Tensor<4>) -> Result<[usize; 2]> {
        let [_, channels, height, width] = pixels.dims();
        if channels != self.channels {
            return Err(NetsError::input(format!("pictures have {channels} channels, expected {}", self.channels)));
        }
        if height == 0 || width == 0 || height % self.patch != 0 || width % self.patch != 0 {
            return Err(NetsError::input(format!(
                "pictures of {width}x{height} pixels do not divide into patches of {} pixels",
                self.patch
            )));
        }
        Ok([height / self.patch, width / self.patch])
    }

    /// `[batch, channels, height, width]` to `[batch, rows * columns, dim]`.
    ///
    /// # Errors
    /// As [`PatchEmbedding::grid`].
    pub fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let [rows, columns] = self.grid(&pixels)?;
        let [batch, channels, ..] = pixels.dims();
        let patch = self.patch;
        let patches = pixels
            .reshape([batch, channels, rows, patch, columns, patch])
            // [batch, rows, columns, channels, patch, patch]
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, channels * patch * patch]);
        Ok(self.projection.forward(patches))
    }
}

/// How learned positions are stretched to another grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PositionInterpolation {
    /// To the new size, as transformers does.
    #[default]
    Size,
    /// By the factor (new + 0.1) / old, as DINOv2's own code does.
    HubOffset,
    /// To the new size and antialiased, as transformers does for DINOv2 with registers.
    Antialias,
}

/// Stretches positions `[1, 1 + old², dim]` to `[1, 1 + rows * columns, dim]`: the first belongs to the
/// class token and stays, the others are resampled bicubically as `torch.nn.functional.interpolate` does.
pub fn interpolate_positions(
    positions: Tensor<3>,
    [rows, columns]: [usize; 2],
    how: PositionInterpolation,
) -> Tensor<3> {
    let [_, count, dim] = positions.dims();
    let old = (count - 1).isqrt();
    if rows == old && columns == old {
        return positions;
    }
    let device = positions.device();
    let class = positions.clone().narrow(1, 0, 1);
    let grid = positions.narrow(1, 1, old * old).reshape([old, old * dim]);
    // [rows, old] x [old, old * dim]
    let tall = sampling(old, rows, how, &device).matmul(grid).reshape([rows, old, dim]);
    // [columns, old] x [rows, old, dim]
    let grid = sampling(old, columns, how, &device).unsqueeze::<3>().matmul(tall);
    Tensor::cat(vec![class, grid.reshape([1, rows * columns, dim])], 1)
}

/// The matrix `[new, old]` of a bicubic resampling along one axis.
fn sampling(old: usize, new: usize, how: PositionInterpolation, device: &Device) -> Tensor<2> {
    let ratio = match how {
        PositionInterpolation::Size | PositionInterpolation::Antialias => old as f64 / new as f64,
        PositionInterpolation::HubOffset => old as f64 / (new as f64 + 0.1),
    };
    let mut values = vec![0.0f32; new * old];
    for (out, row) in values.chunks_exact_mut(old).enumerate() {
        let center = (out as f64 + 0.5) * ratio;
        match how {
            PositionInterpolation::Antialias => antialiased(row, center, ratio.max(1.0)),
            _ => interpolated(row, center - 0.5),
        }
    }
    Tensor::from_data(TensorData::new(values, [new, old]), device)
}

/// Keys' cubic with a = -0.75 between four neighbours; the border repeats.
fn interpolated(row: &mut [f32], at: f64) {
    let first = at.floor() as i64 - 1;
    for tap in 0..4 {
        let position = first + tap;
        let inside = position.clamp(0, row.len() as i64 - 1) as usize;
        row[inside] += cubic(at - position as f64, -0.75) as f32;
    }
}

/// Keys' cubic with a = -0.5, widened by the factor and cut at the border.
fn antialiased(row: &mut [f32], center: f64, scale: f64) {
    let first = (center - 2.0 * scale + 0.5).max(0.0) as usize;
    let last = ((center + 2.0 * scale + 0.5) as usize).min(row.len());
    let weight = |x: usize| cubic((x as f64 + 0.5 - center) / scale, -0.5);
    let sum: f64 = (first..last).map(weight).sum();
    for (x, value) in (first..last).zip(&mut row[first..last]) {
        *value = (weight(x) / sum) as f32;
    }
}

fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}
