//! One part of the objects to learn from, one to score.

use glass_schemas::seeds::{Purpose, Stream};

/// Places of the objects of either part.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// Learned from.
    pub train: Vec<usize>,
    /// Scored.
    pub test: Vec<usize>,
}

/// Objects in random order; the first `share` of them, rounded down, is learned from (Latent Slot Diffusion: 83 %).
pub fn split(objects: usize, share: f64, seed: u64) -> Split {
    let mut order: Vec<usize> = (0..objects).collect();
    Stream::new(seed, "split", Purpose::DataOrder).shuffle(&mut order);
    let train = (objects as f64 * share.clamp(0.0, 1.0)) as usize;
    let test = order.split_off(train.min(objects));
    Split { train: order, test }
}

/// Rows of `[rows, width]` at these places.
pub fn rows(values: &[f32], width: usize, places: &[usize]) -> Vec<f32> {
    places.iter().flat_map(|&place| &values[place * width..][..width]).copied().collect()
}

/// Every column brought to [−1, 1] by its least and largest value, over all rows as the published code does; a column of
/// one value becomes −1.
pub fn scaled(values: &[f32], width: usize) -> Vec<f32> {
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); width];
    for row in values.chunks_exact(width) {
        for ((low, high), &value) in ranges.iter_mut().zip(row) {
            (*low, *high) = (low.min(value), high.max(value));
        }
    }
    let scale = |(at, &value): (usize, &f32)| {
        let (low, high) = ranges[at % width];
        if high > low { (value - low) / (high - low) * 2.0 - 1.0 } else { -1.0 }
    };
    values.iter().enumerate().map(scale).collect()
}
