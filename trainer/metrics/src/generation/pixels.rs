use crate::MetricsError;

/// Standard deviation of SSIM's Gaussian, pixels.
const SIGMA: f64 = 1.5;
/// The Gaussian is cut at 3.5 standard deviations: a window of 11 pixels.
const RADIUS: usize = 5;
/// Constants of SSIM (Wang et al. 2004).
const K: [f64; 2] = [0.01, 0.03];

/// A picture as planes of samples, `[channels, height, width]`.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    values: &'a [f32],
    width: usize,
    height: usize,
}

impl<'a> Planes<'a> {
    /// Takes whole planes of `width` × `height` samples.
    pub fn new(values: &'a [f32], width: usize, height: usize) -> Result<Self, MetricsError> {
        let plane = width * height;
        if plane == 0 || values.is_empty() || !values.len().is_multiple_of(plane) {
            return Err(MetricsError::Length {
                what: "picture",
                width,
                height,
                expected: plane * values.len().div_ceil(plane.max(1)).max(1),
                found: values.len(),
            });
        }
        Ok(Self { values, width, height })
    }

    fn pairs(self, other: Self) -> Result<impl Iterator<Item = (f64, f64)>, MetricsError> {
        if (self.width, self.height, self.values.len()) != (other.width, other.height, other.values.len()) {
            return Err(MetricsError::Size {
                what: "picture",
                expected: (self.width, self.height),
                found: (other.width, other.height),
            });
        }
        let values = self.values.iter().zip(other.values);
        Ok(values.map(|(&a, &b)| (f64::from(a), f64::from(b))))
    }
}

/// Sum of squared differences over all samples: the "MSE" of slot papers.
pub fn squared_error(a: Planes<'_>, b: Planes<'_>) -> Result<f64, MetricsError> {
    Ok(a.pairs(b)?.map(|(a, b)| (a - b) * (a - b)).sum())
}

/// Peak signal-to-noise ratio in dB for samples that span `range`; infinite for equal pictures
/// (scikit-image, `peak_signal_noise_ratio`).
pub fn psnr(a: Planes<'_>, b: Planes<'_>, range: f64) -> Result<f64, MetricsError> {
    let mean = squared_error(a, b)? / a.values.len() as f64;
    Ok(10.0 * (range * range / mean).log10())
}

/// Structural similarity for samples that span `range`: Gaussian window of 11 pixels, moments
/// without Bessel's correction, mean over channels and over windows that lie inside (scikit-image,
/// `structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`).
pub fn ssim(a: Planes<'_>, b: Planes<'_>, range: f64) -> Result<f64, MetricsError> {
    let window = 2 * RADIUS + 1;
    if a.width < window || a.height < window {
        return Err(MetricsError::Size { what: "picture", expected: (window, window), found: (a.width, a.height) });
    }
    let (left, right): (Vec<f64>, Vec<f64>) = a.pairs(b)?.unzip();
    let plane = a.width * a.height;
    let channels = left.chunks_exact(plane).zip(right.chunks_exact(plane));
    let count = left.len() / plane;
    Ok(channels.map(|(x, y)| channel(x, y, a.width, range)).sum::<f64>() / count as f64)
}

fn channel(x: &[f64], y: &[f64], width: usize, range: f64) -> f64 {
    let blur = |f: &dyn Fn(f64, f64) -> f64| {
        let values: Vec<f64> = x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect();
        gaussian(&values, width)
    };
    let means = [blur(&|x, _| x), blur(&|_, y| y)];
    let squares = [blur(&|x, _| x * x), blur(&|_, y| y * y), blur(&|x, y| x * y)];
    let [c1, c2] = K.map(|k| (k * range) * (k * range));
    let similarity = |at: usize| {
        let (mx, my) = (means[0][at], means[1][at]);
        let (vx, vy) = (squares[0][at] - mx * mx, squares[1][at] - my * my);
        let covariance = squares[2][at] - mx * my;
        (2.0 * mx * my + c1) * (2.0 * covariance + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    };
    (0..means[0].len()).map(similarity).sum::<f64>() / means[0].len() as f64
}

/// The weighted mean of every window that lies inside the plane, row by row.
fn gaussian(values: &[f64], width: usize) -> Vec<f64> {
    let offset = |at: usize| at as f64 - RADIUS as f64;
    let raw: Vec<f64> = (0..=2 * RADIUS).map(|at| (-0.5 * (offset(at) / SIGMA).powi(2)).exp()).collect();
    let total: f64 = raw.iter().sum();
    let weights: Vec<f64> = raw.iter().map(|weight| weight / total).collect();
    let inner = width - 2 * RADIUS;
    let across: Vec<f64> = values
        .chunks_exact(width)
        .flat_map(|row| (0..inner).map(|x| weights.iter().zip(&row[x..]).map(|(w, v)| w * v).sum::<f64>()))
        .collect();
    let rows = across.len() / inner - 2 * RADIUS;
    (0..rows * inner)
        .map(|at| weights.iter().zip(across[at..].iter().step_by(inner)).map(|(w, v)| w * v).sum())
        .collect()
}
