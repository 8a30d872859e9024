use super::eigen::eigenvalues;
use crate::MetricsError;

/// Pivots below this share of the largest variance are rounding errors.
const RANK_TOLERANCE: f64 = 1e-13;

/// Mean and covariance of features, taken in one by one: memory does not grow with their number.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureStatistics {
    dim: usize,
    count: u64,
    mean: Vec<f64>,
    /// Sum of outer products of deviations, `[dim, dim]`, lower triangle.
    scatter: Vec<f64>,
}

impl FeatureStatistics {
    /// For features of width `dim`.
    pub fn new(dim: usize) -> Self {
        Self { dim, count: 0, mean: vec![0.0; dim], scatter: vec![0.0; dim * dim] }
    }

    /// Takes in rows of features, `[rows, dim]` (Welford's update, in f64).
    pub fn add(&mut self, features: &[f32]) -> Result<(), MetricsError> {
        check_features(features, self.dim)?;
        let mut before = vec![0.0; self.dim];
        for row in features.chunks_exact(self.dim) {
            self.count += 1;
            for ((mean, before), &value) in self.mean.iter_mut().zip(&mut before).zip(row) {
                *before = f64::from(value) - *mean;
                *mean += *before / self.count as f64;
            }
            for (at, line) in self.scatter.chunks_exact_mut(self.dim).enumerate() {
                let after = f64::from(row[at]) - self.mean[at];
                for (sum, &before) in line[..=at].iter_mut().zip(&before) {
                    *sum += before * after;
                }
            }
        }
        Ok(())
    }

    /// Rows taken in.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Width of the features.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Their mean, `[dim]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Their covariance over n − 1, `[dim, dim]`; needs two rows.
    pub fn covariance(&self) -> Result<Vec<f64>, MetricsError> {
        match self.count {
            0 | 1 => Err(MetricsError::Features { problem: "are fewer than two rows".into() }),
            _ => Ok(self.full()),
        }
    }

    /// What was taken in before, from [`count`](Self::count), [`mean`](Self::mean) and
    /// [`covariance`](Self::covariance).
    pub fn from_parts(count: u64, mean: Vec<f64>, covariance: &[f64]) -> Result<Self, MetricsError> {
        let dim = mean.len();
        let refuse = |problem: String| Err(MetricsError::Features { problem });
        if count < 2 || dim == 0 || covariance.len() != dim * dim {
            let numbers = covariance.len();
            return refuse(format!("of {count} rows have a mean of {dim} and a covariance of {numbers} numbers"));
        }
        if mean.iter().chain(covariance).any(|value| !value.is_finite()) {
            return refuse("have a mean or covariance that is not finite".into());
        }
        let mut scatter = vec![0.0; dim * dim];
        for (row, line) in scatter.chunks_exact_mut(dim).enumerate() {
            for (column, value) in line[..=row].iter_mut().enumerate() {
                *value = covariance[row * dim + column] * (count - 1) as f64;
            }
        }
        Ok(Self { dim, count, mean, scatter })
    }

    /// Fréchet distance to other features, `‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½)` with covariances
    /// over n − 1 (FID where features are InceptionV3's pool, pytorch-fid and torchmetrics).
    ///
    /// The eigenvalues of Σ₁Σ₂ are those of the symmetric LᵀΣ₂L with Σ₁ = LLᵀ: no complex square
    /// root, and nothing added to a singular covariance.
    pub fn frechet_distance(&self, other: &Self) -> Result<f64, MetricsError> {
        if self.dim != other.dim {
            return Err(MetricsError::Features { problem: format!("are {} and {} numbers wide", self.dim, other.dim) });
        }
        if self.count < 2 || other.count < 2 {
            return Err(MetricsError::Features {
                problem: format!("are {} and {} rows, two are needed", self.count, other.count),
            });
        }
        let apart: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b) * (a - b)).sum();
        let (first, second) = (self.full(), other.full());
        let trace = |matrix: &[f64]| matrix.iter().step_by(self.dim + 1).sum::<f64>();
        let spread = trace(&first) + trace(&second);
        let root = root_trace(&first, &second, self.dim);
        Ok(apart + spread - 2.0 * root)
    }

    fn full(&self) -> Vec<f64> {
        let mut full = self.scatter.clone();
        for row in 0..self.dim {
            for column in 0..=row {
                let value = self.scatter[row * self.dim + column] / (self.count - 1) as f64;
                full[row * self.dim + column] = value;
                full[column * self.dim + row] = value;
            }
        }
        full
    }
}

/// Trace of the square root of the product of two covariances.
fn root_trace(first: &[f64], second: &[f64], dim: usize) -> f64 {
    let factors = factors(first, dim);
    let rank = factors.len();
    let mut product = vec![0.0; rank * rank];
    for (row, left) in factors.iter().enumerate() {
        // One row of Σ₂L at a time.
        let mut turned = vec![0.0; dim];
        for (&weight, line) in left.iter().zip(second.chunks_exact(dim)) {
            if weight != 0.0 {
                turned.iter_mut().zip(line).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        for (column, right) in factors[..=row].iter().enumerate() {
            let value = turned.iter().zip(right).map(|(a, b)| a * b).sum();
            product[row * rank + column] = value;
            product[column * rank + row] = value;
        }
    }
    eigenvalues(product, rank).into_iter().map(|value| value.max(0.0).sqrt()).sum()
}

/// Columns of L with `matrix` = LLᵀ, as many as the matrix has rank: Cholesky, largest pivot first.
fn factors(matrix: &[f64], dim: usize) -> Vec<Vec<f64>> {
    let mut left: Vec<f64> = matrix.iter().step_by(dim + 1).copied().collect();
    let floor = left.iter().copied().fold(0.0, f64::max) * RANK_TOLERANCE;
    let mut columns: Vec<Vec<f64>> = Vec::new();
    while columns.len() < dim {
        let largest = (0..dim).max_by(|&a, &b| left[a].total_cmp(&left[b]));
        let Some(pivot) = largest.filter(|&pivot| left[pivot] > floor) else { break };
        let mut column = matrix[pivot * dim..(pivot + 1) * dim].to_vec();
        for earlier in &columns {
            let weight = earlier[pivot];
            column.iter_mut().zip(earlier).for_each(|(value, other)| *value -= weight * other);
        }
        let scale = left[pivot].sqrt();
        for (value, left) in column.iter_mut().zip(&mut left) {
            *value /= scale;
            *left -= *value * *value;
        }
        left[pivot] = 0.0;
        columns.push(column);
    }
    columns
}

/// That features are whole rows of numbers.
pub(super) fn check_features(features: &[f32], dim: usize) -> Result<(), MetricsError> {
    if dim == 0 || !features.len().is_multiple_of(dim) {
        return Err(MetricsError::Features {
            problem: format!("are {} numbers, not whole rows of {dim}", features.len()),
        });
    }
    if features.iter().any(|value| !value.is_finite()) {
        return Err(MetricsError::Features { problem: "hold a value that is not finite".into() });
    }
    Ok(())
}
