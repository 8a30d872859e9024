//! Decoding in overlapping tiles (upstream `AutoencoderKL.tiled_decode`).

use burn::tensor::{FloatDType, Tensor, TensorData};

/// The share of a tile that its neighbour covers too.
const OVERLAP: f64 = 0.25;

/// Decodes `latents` `[batch, channels, height, width]` in tiles of `side` positions, each of which gives
/// `scale` pixels; a tile fades into the one above and the one to its left.
pub(super) fn decode(
    latents: Tensor<4>,
    side: usize,
    scale: usize,
    decode: impl Fn(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let [_, _, height, width] = latents.dims();
    let stride = (side as f64 * (1.0 - OVERLAP)) as usize;
    let seam = ((side * scale) as f64 * OVERLAP) as usize;
    let kept = side * scale - seam;
    let mut above: Vec<Tensor<4>> = Vec::new();
    let mut rows = Vec::new();
    for top in (0..height).step_by(stride) {
        let strip = latents.clone().narrow(2, top, side.min(height - top));
        let mut tiles: Vec<Tensor<4>> = Vec::new();
        for (column, left) in (0..width).step_by(stride).enumerate() {
            let mut tile = decode(strip.clone().narrow(3, left, side.min(width - left)));
            if let Some(above) = above.get(column) {
                tile = fade(above.clone(), tile, 2, seam);
            }
            if let Some(before) = tiles.last() {
                tile = fade(before.clone(), tile, 3, seam);
            }
            tiles.push(tile);
        }
        rows.push(Tensor::cat(tiles.iter().map(|tile| cut(tile, kept)).collect(), 3));
        above = tiles;
    }
    Tensor::cat(rows, 2)
}

/// The tile without what its neighbours to the right and below have too.
fn cut(tile: &Tensor<4>, side: usize) -> Tensor<4> {
    let [_, _, height, width] = tile.dims();
    tile.clone().narrow(2, 0, side.min(height)).narrow(3, 0, side.min(width))
}

/// `tile` whose first `seam` pixels along an axis come gradually out of the last ones of `before`.
fn fade(before: Tensor<4>, tile: Tensor<4>, axis: usize, seam: usize) -> Tensor<4> {
    let (length, last) = (tile.dims()[axis], before.dims()[axis]);
    let seam = seam.min(length).min(last);
    let shares: Vec<f32> = (0..seam).map(|i| i as f32 / seam as f32).collect();
    let mut shape = [1; 4];
    shape[axis] = seam;
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [seam]), &tile.device())
        .cast(FloatDType::from(tile.dtype()))
        .reshape(shape);
    let old = before.narrow(axis, last - seam, seam);
    let new = tile.clone().narrow(axis, 0, seam);
    let mixed = old.clone() + (new - old) * shares;
    if seam == length {
        return mixed;
    }
    Tensor::cat(vec![mixed, tile.narrow(axis, seam, length - seam)], axis)
}
