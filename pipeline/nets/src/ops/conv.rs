//! Convolution as a matrix product, forward and backward.
//!
//! Patches of the picture become columns (`[channels · kernel, positions]`), in tiles that stay in the
//! cache, and the product writes straight into the output. Small pictures share a tile, so that the
//! weights are not packed anew for sixteen positions.

use rayon::prelude::*;

use super::product::{Matrix, product};

/// Floats that a tile of columns should hold at most.
const TILE: usize = 1 << 18;
/// Columns that make a product worth packing the weights.
const COLUMNS: usize = 256;

/// Sizes of a convolution without dilation or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub batch: usize,
    pub input: usize,
    pub size: [usize; 2],
    pub output: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Zeros above and to the left; those below and to the right are implied by `out`.
    pub pad: [usize; 2],
    pub out: [usize; 2],
}

/// Neighbouring samples, or some rows of one sample.
#[derive(Debug, Clone, Copy)]
struct Tile {
    first: usize,
    samples: usize,
    row: usize,
    rows: usize,
}

impl Geometry {
    fn depth(&self) -> usize {
        self.input * self.kernel[0] * self.kernel[1]
    }

    fn positions(&self) -> usize {
        self.out[0] * self.out[1]
    }

    fn picture(&self) -> usize {
        self.input * self.size[0] * self.size[1]
    }

    fn is_product(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pad == [0, 0]
    }

    /// Tiles of whole samples only (`whole`), or also of some rows of a sample.
    fn tiles(&self, whole: bool) -> Vec<Tile> {
        let positions = self.positions();
        if whole || self.depth() * positions <= TILE {
            let together = (COLUMNS / positions).clamp(1, self.batch.div_ceil(rayon::current_num_threads()).max(1));
            let tile = |first| Tile { first, samples: together.min(self.batch - first), row: 0, rows: self.out[0] };
            return (0..self.batch).step_by(together).map(tile).collect();
        }
        let rows = (TILE / (self.depth() * self.out[1])).clamp(1, self.out[0]);
        let tile = |first, row| Tile { first, samples: 1, row, rows: rows.min(self.out[0] - row) };
        (0..self.batch).flat_map(|first| (0..self.out[0]).step_by(rows).map(move |row| tile(first, row))).collect()
    }

    fn columns(&self, tile: Tile) -> usize {
        tile.samples * tile.rows * self.out[1]
    }

    /// Calls `visit(row of columns, offset of the row in the picture or None in the padding)` for each
    /// channel and kernel position of one sample.
    #[inline]
    fn for_each_row(&self, tile: Tile, mut visit: impl FnMut(usize, usize, [usize; 2], Option<usize>)) {
        let [height, width] = self.size;
        for channel in 0..self.input {
            for y in 0..self.kernel[0] {
                for x in 0..self.kernel[1] {
                    let depth = (channel * self.kernel[0] + y) * self.kernel[1] + x;
                    for row in 0..tile.rows {
                        let from = ((tile.row + row) * self.stride[0] + y).checked_sub(self.pad[0]);
                        let from = from.filter(|from| *from < height);
                        visit(depth, row, [y, x], from.map(|from| (channel * height + from) * width));
                    }
                }
            }
        }
    }

    /// The output columns whose input column lies in the picture, and that column for the first of them.
    #[inline]
    fn inside(&self, x: usize) -> (usize, usize, usize) {
        let (stride, pad, width) = (self.stride[1], self.pad[1], self.size[1]);
        let low = pad.saturating_sub(x).div_ceil(stride).min(self.out[1]);
        let high = if width + pad > x { (width + pad - x).div_ceil(stride).min(self.out[1]) } else { low };
        (low, high.max(low), (low * stride + x).saturating_sub(pad))
    }

    /// Patches of the samples of a tile as columns `[depth, samples · rows · width]`.
    fn unfold(&self, x: &[f32], tile: Tile, columns: &mut [f32]) {
        let (total, width) = (self.columns(tile), self.out[1]);
        for sample in 0..tile.samples {
            let picture = &x[(tile.first + sample) * self.picture()..][..self.picture()];
            let base = sample * tile.rows * width;
            self.for_each_row(tile, |depth, row, [_, kx], from| {
                let to = &mut columns[depth * total + base + row * width..][..width];
                let Some(from) = from else {
                    return to.fill(0.0);
                };
                let (low, high, start) = self.inside(kx);
                to[..low].fill(0.0);
                to[high..].fill(0.0);
                let line = &picture[from..][..self.size[1]];
                if self.stride[1] == 1 {
                    to[low..high].copy_from_slice(&line[start..start + high - low]);
                } else {
                    let source = line[start.min(line.len())..].iter().step_by(self.stride[1]);
                    to[low..high].iter_mut().zip(source).for_each(|(to, from)| *to = *from);
                }
            });
        }
    }

    /// The transpose of [`unfold`](Self::unfold): adds columns onto the pictures of a tile.
    fn fold(&self, columns: &[f32], tile: Tile, x: &mut [f32]) {
        let (total, width) = (self.columns(tile), self.out[1]);
        for sample in 0..tile.samples {
            let picture = &mut x[sample * self.picture()..][..self.picture()];
            let base = sample * tile.rows * width;
            self.for_each_row(tile, |depth, row, [_, kx], to| {
                let Some(to) = to else { return };
                let (low, high, start) = self.inside(kx);
                let from = &columns[depth * total + base + row * width..][low..high];
                let line = &mut picture[to..][..self.size[1]];
                let target = line[start.min(self.size[1])..].iter_mut().step_by(self.stride[1]);
                target.zip(from).for_each(|(to, from)| *to += *from);
            });
        }
    }

    /// Gradients or outputs of the samples of a tile, side by side: `[output, columns]`.
    fn gather(&self, y: &[f32], tile: Tile, to: &mut Vec<f32>) {
        let positions = self.positions();
        to.clear();
        for channel in 0..self.output {
            for sample in tile.first..tile.first + tile.samples {
                to.extend_from_slice(&y[(sample * self.output + channel) * positions..][..positions]);
            }
        }
    }
}

/// A pointer that tiles write through, each to its own part.
#[derive(Clone, Copy)]
struct Shared(*mut f32);
// SAFETY: tiles never overlap, see `forward`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// Nobody else may use these elements meanwhile, and they must lie inside the allocation.
    unsafe fn slice<'a>(self, from: usize, length: usize) -> &'a mut [f32] {
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(from), length) }
    }
}

/// `x` `[batch, input, height, width]`, `weight` `[output, depth]`, `bias` `[output]`.
pub(super) fn forward(x: &[f32], weight: &[f32], bias: &[f32], g: &Geometry) -> Vec<f32> {
    let (depth, positions) = (g.depth(), g.positions());
    assert!(x.len() == g.batch * g.picture() && weight.len() == g.output * depth && bias.len() == g.output);
    let mut out = vec![0.0_f32; g.batch * g.output * positions];
    let shared = Shared(out.as_mut_ptr());
    let weight = Matrix { values: weight, strides: (depth, 1) };
    g.tiles(false).into_par_iter().for_each_init(
        || (Vec::new(), Vec::new()),
        |(columns, side): &mut (Vec<f32>, Vec<f32>), tile| {
            let n = g.columns(tile);
            let patches = if g.is_product() && tile.samples == 1 {
                let from = tile.first * g.picture() + tile.row * g.out[1];
                Matrix { values: &x[from..], strides: (positions, 1) }
            } else {
                columns.resize(depth * n, 0.0);
                g.unfold(x, tile, columns);
                Matrix { values: columns, strides: (n, 1) }
            };
            side.resize(g.output * n, 0.0);
            product(side, n, [g.output, n, depth], weight, patches, false);
            let share = n / tile.samples;
            for (channel, bias) in bias.iter().enumerate() {
                for sample in 0..tile.samples {
                    let from = &side[channel * n + sample * share..][..share];
                    let at = ((tile.first + sample) * g.output + channel) * positions + tile.row * g.out[1];
                    // SAFETY: tiles cover disjoint samples, or disjoint rows of one sample, of `out`.
                    let to = unsafe { shared.slice(at, share) };
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = from + bias);
                }
            }
        },
    );
    out
}

/// The gradient of the picture.
pub(super) fn backward_input(grad: &[f32], weight: &[f32], g: &Geometry) -> Vec<f32> {
    let depth = g.depth();
    let mut out = vec![0.0_f32; g.batch * g.picture()];
    let tiles = g.tiles(true);
    let together = tiles.first().map_or(1, |tile| tile.samples);
    let weight = Matrix { values: weight, strides: (1, depth) };
    out.par_chunks_mut(together * g.picture()).zip(tiles).for_each_init(
        || (Vec::new(), Vec::new()),
        |(columns, side): &mut (Vec<f32>, Vec<f32>), (out, tile)| {
            let n = g.columns(tile);
            g.gather(grad, tile, side);
            columns.resize(depth * n, 0.0);
            let grad = Matrix { values: side, strides: (n, 1) };
            product(columns, n, [depth, n, g.output], weight, grad, false);
            g.fold(columns, tile, out);
        },
    );
    out
}

/// The gradient of the weight `[output, depth]`.
///
/// It is computed transposed: the patches, the larger factor, are then read along their rows as they lie. Packing
/// them for the other order takes longer than the product where there are few output channels.
pub(super) fn backward_weight(x: &[f32], grad: &[f32], g: &Geometry) -> Vec<f32> {
    let depth = g.depth();
    let tiles = g.tiles(true);
    let share = tiles.len().div_ceil(rayon::current_num_threads()).max(1);
    let partial = |tiles: &[Tile]| {
        let (mut sum, mut columns, mut side) = (vec![0.0_f32; g.output * depth], Vec::new(), Vec::new());
        for tile in tiles {
            let n = g.columns(*tile);
            columns.resize(depth * n, 0.0);
            g.unfold(x, *tile, &mut columns[..depth * n]);
            g.gather(grad, *tile, &mut side);
            let patches = Matrix { values: &columns[..depth * n], strides: (n, 1) };
            let grad = Matrix { values: &side, strides: (1, n) };
            product(&mut sum, g.output, [depth, g.output, n], patches, grad, true);
        }
        sum
    };
    // In order, so that the sum does not depend on which thread is done first.
    let partials: Vec<Vec<f32>> = tiles.par_chunks(share).map(partial).collect();
    let mut partials = partials.into_iter();
    let mut total = partials.next().unwrap_or_else(|| vec![0.0; g.output * depth]);
    for partial in partials {
        total.iter_mut().zip(partial).for_each(|(total, part)| *total += part);
    }
    transposed(&total, g.output)
}

/// `[rows, columns]` → `[columns, rows]`.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}

/// The gradient of the bias: sums over samples and positions.
pub(super) fn backward_bias(grad: &[f32], g: &Geometry) -> Vec<f32> {
    plane_sums(grad, g.output, g.positions())
}

/// The transposed convolution: the gradient of the picture, plus a bias a channel `[input]`.
/// `x` `[batch, output, out]`, `weight` `[output, depth]`; gives `[batch, input, size]`.
pub(super) fn transposed_forward(x: &[f32], weight: &[f32], bias: &[f32], g: &Geometry) -> Vec<f32> {
    let mut out = backward_input(x, weight, g);
    let plane = g.size[0] * g.size[1];
    out.par_chunks_mut(plane).enumerate().for_each(|(i, to)| {
        let bias = bias[i % g.input];
        to.iter_mut().for_each(|to| *to += bias);
    });
    out
}

/// The gradient of the transposed convolution's input: the convolution itself.
pub(super) fn transposed_backward_input(grad: &[f32], weight: &[f32], g: &Geometry) -> Vec<f32> {
    forward(grad, weight, &vec![0.0; g.output], g)
}

/// The gradient of the transposed convolution's bias.
pub(super) fn transposed_backward_bias(grad: &[f32], g: &Geometry) -> Vec<f32> {
    plane_sums(grad, g.input, g.size[0] * g.size[1])
}

/// Sums of planes by channel.
fn plane_sums(values: &[f32], channels: usize, plane: usize) -> Vec<f32> {
    let mut out = vec![0.0_f32; channels];
    for (i, plane) in values.chunks(plane).enumerate() {
        out[i % channels] += super::simd::sum(plane);
    }
    out
}
