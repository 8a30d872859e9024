use crate::{Contingency, Objects};

/// Which points the adjusted Rand index looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// All points: ARI.
    All,
    /// Points on an object: FG-ARI.
    Foreground,
}

/// Adjusted Rand index of the predicted grouping against the ground truth, at most 1.
///
/// `ri = Σ n(n−1)`, `a`, `b` likewise of the row and column sums, `exp = a·b / (N(N−1))`, `(ri −
/// exp) / ((a + b)/2 − exp)`, and 1 where that denominator is not positive: one cluster on both
/// sides, points all alone, or no point at all (Object-Centric Learning Framework,
/// `adjusted_rand_index`). A picture without objects therefore has FG-ARI 1.
pub fn adjusted_rand_index(table: &Contingency, points: Points) -> f64 {
    let objects = match points {
        Points::All => Objects::WithBackground,
        Points::Foreground => Objects::WithoutBackground,
    };
    let mut columns = vec![0_u64; table.predicted().len()];
    let (mut together, mut in_truth, mut total) = (0_u128, 0_u128, 0_u64);
    for row in table.object_rows(objects) {
        for (column, &n) in columns.iter_mut().zip(table.row(row)) {
            *column += n;
            together += pairs(n);
        }
        in_truth += pairs(table.truth_sizes()[row]);
        total += table.truth_sizes()[row];
    }
    let in_prediction: u128 = columns.into_iter().map(pairs).sum();
    let all = pairs(total).max(1);
    // Integers decide whether there is a denominator: in floats a zero can come out as a rounding
    // error.
    if (in_truth + in_prediction) * all <= 2 * in_truth * in_prediction {
        return 1.0;
    }
    let expected = in_truth as f64 * in_prediction as f64 / all as f64;
    let maximum = (in_truth as f64 + in_prediction as f64) / 2.0;
    (together as f64 - expected) / (maximum - expected)
}

/// Ordered pairs of `n` points.
fn pairs(n: u64) -> u128 {
    u128::from(n) * u128::from(n.saturating_sub(1))
}
