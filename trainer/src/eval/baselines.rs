//! Segmentations that need no training: what trained slots have to beat.

use glass_metrics::LabelMap;
use glass_schemas::seeds::{Purpose, Stream};

/// Iterations of k-means; on the tokens of one picture it has converged by then.
const KMEANS_ITERATIONS: usize = 20;

/// The square cut into `segments` rectangles, in `⌊√segments⌋` rows as equally filled as possible (6: 2 × 3; 7: 3 over 4).
pub fn blocks(side: usize, segments: usize) -> LabelMap {
    let segments = segments.max(1);
    let rows = segments.isqrt();
    let first = |row: usize| row * segments / rows;
    let mut map = LabelMap::filled(side, side, 0);
    for (index, label) in map.labels_mut().iter_mut().enumerate() {
        let (x, y) = (index % side, index / side);
        let row = y * rows / side;
        let columns = first(row + 1) - first(row);
        *label = (first(row) + x * columns / side) as u16;
    }
    map
}

/// Clusters the tokens of one picture: `tokens` is `[count, dim]` row by row, the result one cluster a token.
///
/// Lloyd's algorithm in f32 from `clusters` distinct tokens drawn for `subject` (a picture); a cluster that loses all
/// its tokens keeps its centre.
pub fn kmeans(tokens: &[f32], dim: usize, clusters: usize, seed: u64, subject: &str) -> Vec<u16> {
    let count = tokens.len() / dim.max(1);
    let clusters = clusters.min(count);
    let mut order: Vec<usize> = (0..count).collect();
    Stream::new(seed, subject, Purpose::KMeans).shuffle(&mut order);
    let mut centres: Vec<f32> =
        order.iter().take(clusters).flat_map(|&token| &tokens[token * dim..(token + 1) * dim]).copied().collect();
    let mut assigned = vec![0_u16; count];
    for _ in 0..KMEANS_ITERATIONS {
        assign_to_nearest(tokens, dim, &centres, &mut assigned);
        move_centres(tokens, dim, &assigned, &mut centres);
    }
    assigned
}

fn assign_to_nearest(tokens: &[f32], dim: usize, centres: &[f32], assigned: &mut [u16]) {
    for (label, token) in assigned.iter_mut().zip(tokens.chunks_exact(dim)) {
        let mut best = f32::INFINITY;
        for (index, centre) in centres.chunks_exact(dim).enumerate() {
            let distance = token.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum();
            if distance < best {
                best = distance;
                *label = index as u16;
            }
        }
    }
}

fn move_centres(tokens: &[f32], dim: usize, assigned: &[u16], centres: &mut [f32]) {
    let mut sums = vec![0.0_f64; centres.len()];
    let mut members = vec![0_u32; centres.len() / dim];
    for (&label, token) in assigned.iter().zip(tokens.chunks_exact(dim)) {
        let label = usize::from(label);
        members[label] += 1;
        for (sum, &value) in sums[label * dim..(label + 1) * dim].iter_mut().zip(token) {
            *sum += f64::from(value);
        }
    }
    for (index, centre) in centres.chunks_exact_mut(dim).enumerate() {
        if members[index] > 0 {
            for (value, sum) in centre.iter_mut().zip(&sums[index * dim..]) {
                *value = (sum / f64::from(members[index])) as f32;
            }
        }
    }
}
