use super::frechet::check_features;
use crate::{MeanSd, MetricsError, mean_sd};

/// Kernel distance over subsets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelDistance {
    /// Mean over subsets.
    pub mean: f64,
    /// Standard deviation over subsets, divided by their number as torchmetrics does.
    pub sd: f64,
}

/// Unbiased squared maximum mean discrepancy of two sets of features `[rows, dim]` with the kernel
/// `(xᵀy / dim + 1)³`; negative values occur for equal distributions (Bińkowski et al. 2018).
pub fn kernel_distance(a: &[f32], b: &[f32], dim: usize) -> Result<f64, MetricsError> {
    check_features(a, dim)?;
    check_features(b, dim)?;
    let rows = |features: &[f32]| features.chunks_exact(dim).map(wide).collect::<Vec<_>>();
    distance(&rows(a).iter().collect::<Vec<_>>(), &rows(b).iter().collect::<Vec<_>>())
}

/// KID: the mean kernel distance over `subsets` random subsets of `size` rows (at most as many as
/// the smaller set has), drawn without repetition. `draw(n)` gives a uniform index below `n`.
pub fn kernel_inception_distance(
    a: &[f32],
    b: &[f32],
    dim: usize,
    subsets: usize,
    size: usize,
    mut draw: impl FnMut(usize) -> usize,
) -> Result<KernelDistance, MetricsError> {
    check_features(a, dim)?;
    check_features(b, dim)?;
    let sets = [a, b].map(|set| set.chunks_exact(dim).map(wide).collect::<Vec<_>>());
    let size = size.min(sets[0].len()).min(sets[1].len());
    let mut distances = Vec::with_capacity(subsets);
    for _ in 0..subsets {
        let [first, second] = [&sets[0], &sets[1]]
            .map(|set| subset(set.len(), size, &mut draw).into_iter().map(|at| &set[at]).collect::<Vec<_>>());
        distances.push(distance(&first, &second)?);
    }
    KernelDistance::of(&distances)
}

impl KernelDistance {
    /// Over the distances of subsets.
    pub fn of(distances: &[f64]) -> Result<Self, MetricsError> {
        let Some(MeanSd { mean, sd, count }) = mean_sd(distances) else {
            return Err(MetricsError::Features { problem: "are to be split into no subset".into() });
        };
        Ok(Self { mean, sd: sd * ((count - 1) as f64 / count as f64).sqrt() })
    }
}

/// Scalar products of the rows of two sets of features of one size, `[rows, rows]` each, for a caller that multiplies
/// matrices faster than this crate.
#[derive(Debug, Clone, Copy)]
pub struct Products<'a> {
    /// Of the first set with itself.
    pub first: &'a [f32],
    /// Of the second set with itself.
    pub second: &'a [f32],
    /// Of the first with the second.
    pub across: &'a [f32],
}

/// [`kernel_distance`] of two sets of `rows` rows from their scalar products.
pub fn kernel_of_products(products: Products<'_>, rows: usize, dim: usize) -> Result<f64, MetricsError> {
    let lengths = [products.first.len(), products.second.len(), products.across.len()];
    if rows < 2 || dim == 0 || lengths.iter().any(|&length| length != rows * rows) {
        return Err(MetricsError::Features {
            problem: format!("have {lengths:?} scalar products for two sets of {rows} rows"),
        });
    }
    let value = |product: f32| cubic(f64::from(product), dim);
    let within = |values: &[f32]| {
        let lower = (1..rows).map(|row| values[row * rows..][..row].iter().map(|&v| value(v)).sum::<f64>());
        2.0 * lower.sum::<f64>() / (rows * (rows - 1)) as f64
    };
    let across: f64 = products.across.iter().map(|&v| value(v)).sum();
    Ok(within(products.first) + within(products.second) - 2.0 * across / (rows * rows) as f64)
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&value| f64::from(value)).collect()
}

/// Places of `size` of `count` rows, drawn without repetition; `draw(n)` gives a uniform index below `n`.
pub fn subset(count: usize, size: usize, draw: &mut impl FnMut(usize) -> usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let size = size.min(count);
    for at in 0..size {
        order.swap(at, at + draw(count - at) % (count - at));
    }
    order.truncate(size);
    order
}

fn distance(a: &[&Vec<f64>], b: &[&Vec<f64>]) -> Result<f64, MetricsError> {
    if a.len() < 2 || b.len() < 2 {
        return Err(MetricsError::Features {
            problem: format!("are {} and {} rows, two are needed", a.len(), b.len()),
        });
    }
    let across: f64 = a.iter().flat_map(|x| b.iter().map(|y| kernel(x, y))).sum();
    Ok(within(a) + within(b) - 2.0 * across / (a.len() * b.len()) as f64)
}

/// Mean kernel of two different rows.
fn within(rows: &[&Vec<f64>]) -> f64 {
    let pairs = |at: usize| rows[..at].iter().map(move |other| kernel(rows[at], other));
    let sum: f64 = (1..rows.len()).flat_map(pairs).sum();
    2.0 * sum / (rows.len() * (rows.len() - 1)) as f64
}

fn kernel(x: &[f64], y: &[f64]) -> f64 {
    cubic(x.iter().zip(y).map(|(a, b)| a * b).sum(), x.len())
}

/// The kernel of two rows from their scalar product.
fn cubic(product: f64, dim: usize) -> f64 {
    (product / dim as f64 + 1.0).powi(3)
}
