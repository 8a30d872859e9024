//! Spread of a number over seeds or pictures.

/// Mean and sample standard deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanSd {
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation (n − 1); 0 for a single value.
    pub sd: f64,
    /// Values.
    pub count: usize,
}

/// Mean ± standard deviation of values; `None` without any.
pub fn mean_sd(values: &[f64]) -> Option<MeanSd> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let sd = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { 0.0 };
    Some(MeanSd { mean, sd, count })
}

/// Percentile bootstrap interval of the mean, e.g. `level` 0.95; `None` without values.
///
/// `draw(n)` gives a uniform index below `n`: the caller owns the random stream, so the interval
/// can be repeated.
pub fn bootstrap_interval(
    values: &[f64],
    resamples: usize,
    level: f64,
    mut draw: impl FnMut(usize) -> usize,
) -> Option<(f64, f64)> {
    if values.is_empty() || resamples == 0 {
        return None;
    }
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| (0..values.len()).map(|_| values[draw(values.len()) % values.len()]).sum::<f64>())
        .map(|sum| sum / values.len() as f64)
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - level.clamp(0.0, 1.0)) / 2.0;
    let at = |share: f64| means[((resamples - 1) as f64 * share).round() as usize];
    Some((at(tail), at(1.0 - tail)))
}
