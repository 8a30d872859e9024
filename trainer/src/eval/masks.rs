//! From maps on the token grid to label maps of pixels.

use glass_metrics::{LabelMap, Nearest};

/// Soft masks of one picture, `[slots, grid, grid]`, brought to `side` × `side` pixels (bilinear between the centres
/// of the tokens, edges repeated: `interpolate(mode="bilinear", align_corners=False)`); then the best slot of every
/// pixel, the first of equal ones.
pub fn soft_to_labels(masks: &[f32], slots: usize, grid: usize, side: usize) -> LabelMap {
    let taps: Vec<Tap> = (0..side).map(|at| Tap::new(at, side, grid)).collect();
    let mut map = LabelMap::filled(side, side, 0);
    let mut best = vec![f32::NEG_INFINITY; side * side];
    let mut row = vec![0.0_f32; grid];
    for slot in 0..slots {
        let plane = &masks[slot * grid * grid..(slot + 1) * grid * grid];
        for (y, down) in taps.iter().enumerate() {
            let (above, below) = (&plane[down.low * grid..], &plane[down.high * grid..]);
            for (x, value) in row.iter_mut().enumerate() {
                *value = down.mix(above[x], below[x]);
            }
            let line = y * side..(y + 1) * side;
            let pixels = map.labels_mut()[line.clone()].iter_mut().zip(&mut best[line]);
            for ((label, best), across) in pixels.zip(&taps) {
                let score = across.mix(row[across.low], row[across.high]);
                if score > *best {
                    *best = score;
                    *label = slot as u16;
                }
            }
        }
    }
    map
}

/// One label a token, every token a square of pixels.
pub fn grid_to_labels(labels: &[u16], grid: usize, side: usize) -> LabelMap {
    let mut map = LabelMap::filled(side, side, 0);
    for (index, label) in map.labels_mut().iter_mut().enumerate() {
        let (x, y) = (index % side * grid / side, index / side * grid / side);
        *label = labels[y * grid + x];
    }
    map
}

/// The ground truth as the token grid sees it: each token takes the label at its centre.
pub fn through_grid(truth: &LabelMap, grid: usize) -> LabelMap {
    let side = truth.width();
    let tokens = truth.resize(grid, grid, Nearest::Centre);
    grid_to_labels(tokens.labels(), grid, side)
}

struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

impl Tap {
    fn new(at: usize, target: usize, source: usize) -> Self {
        let centre = ((at as f32 + 0.5) * source as f32 / target as f32 - 0.5).max(0.0);
        let low = (centre as usize).min(source - 1);
        Self { low, high: (low + 1).min(source - 1), weight: centre - low as f32 }
    }

    fn mix(&self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.weight
    }
}
