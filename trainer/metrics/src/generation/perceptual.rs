use crate::MetricsError;

/// Added to the length of a position's features before they are divided by it (lpips 0.1.4).
const EPSILON: f64 = 1e-10;

/// What one layer of a network says about two pictures.
#[derive(Debug, Clone, Copy)]
pub struct PerceptualLayer<'a> {
    /// Features of one picture, `[channels, positions]`.
    pub first: &'a [f32],
    /// Features of the other.
    pub second: &'a [f32],
    /// A weight for each channel.
    pub weights: &'a [f32],
}

/// LPIPS (Zhang et al. 2018, version 0.1): at every position the features of both pictures are brought to length one;
/// the weighted squared difference is averaged over positions and added up over layers. Features of InceptionV3 or
/// DINOv2 would do as well, but the number would be another one: the published distance takes AlexNet's or VGG16's.
pub fn perceptual_distance(layers: &[PerceptualLayer<'_>]) -> Result<f64, MetricsError> {
    layers.iter().map(|layer| layer.distance()).sum()
}

impl PerceptualLayer<'_> {
    fn distance(&self) -> Result<f64, MetricsError> {
        let channels = self.weights.len();
        let whole = channels > 0 && self.first.len().is_multiple_of(channels) && !self.first.is_empty();
        if !whole || self.first.len() != self.second.len() {
            return Err(MetricsError::Features {
                problem: format!(
                    "are {} and {} numbers, not positions of {channels} channels",
                    self.first.len(),
                    self.second.len()
                ),
            });
        }
        let positions = self.first.len() / channels;
        let lengths = [self.first, self.second].map(|features| lengths(features, positions));
        let mut sum = 0.0;
        for (channel, &weight) in self.weights.iter().enumerate() {
            let plane = channel * positions..(channel + 1) * positions;
            let pairs = self.first[plane.clone()].iter().zip(&self.second[plane]);
            let squares: f64 = pairs
                .zip(lengths[0].iter().zip(&lengths[1]))
                .map(|((&a, &b), (of_a, of_b))| (f64::from(a) / of_a - f64::from(b) / of_b).powi(2))
                .sum();
            sum += f64::from(weight) * squares;
        }
        Ok(sum / positions as f64)
    }
}

/// The length of the features of every position.
fn lengths(features: &[f32], positions: usize) -> Vec<f64> {
    let mut squares = vec![0.0; positions];
    for plane in features.chunks_exact(positions) {
        for (sum, &value) in squares.iter_mut().zip(plane) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    squares.iter().map(|square| square.sqrt() + EPSILON).collect()
}

/// 100 times the cosine between two embeddings: what the CLIP score of a pair is. The score of a set is the mean over
/// its pairs, and zero where that is negative (torchmetrics, `CLIPScore`).
pub fn cosine_score(first: &[f32], second: &[f32]) -> Result<f64, MetricsError> {
    if first.len() != second.len() || first.is_empty() {
        return Err(MetricsError::Features {
            problem: format!("are {} and {} numbers wide", first.len(), second.len()),
        });
    }
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let lengths = (dot(first, first) * dot(second, second)).sqrt();
    if lengths == 0.0 || !lengths.is_finite() {
        return Err(MetricsError::Features { problem: "have no direction".into() });
    }
    Ok(100.0 * dot(first, second) / lengths)
}
