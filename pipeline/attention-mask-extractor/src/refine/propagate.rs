/// Partial sums of a scalar product that a processor can add in parallel.
const LANES: usize = 16;

/// `A^power · map` for every map: power products of the matrix with each map, never the matrix with
/// itself.
///
/// `self_attention` is `[n, n]` with rows that sum to 1 (row = query), `maps` is `[classes, n]`.
/// For two classes at 32² this is 8 million multiplications for power 4; the power of the matrix
/// itself would take two billion.
pub fn propagate(self_attention: &[f32], maps: &[f32], positions: usize, power: u32) -> Vec<f32> {
    let mut current = maps.to_vec();
    let mut next = vec![0.0; maps.len()];
    for _ in 0..power {
        for (query, row) in self_attention.chunks_exact(positions).enumerate() {
            for (from, to) in current.chunks_exact(positions).zip(next.chunks_exact_mut(positions)) {
                to[query] = dot(row, from);
            }
        }
        std::mem::swap(&mut current, &mut next);
    }
    current
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
