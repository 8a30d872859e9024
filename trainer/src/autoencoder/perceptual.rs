//! LPIPS as a loss: the distance that `glass_metrics` computes from features, with a gradient.

use burn::tensor::{Tensor, TensorData};
use glass_nets::perceptual::Perceptual;

use crate::error::Result;

/// Added to the length of a feature vector (`lpips.normalize_tensor`).
const EPSILON: f64 = 1e-10;

/// The mean distance of pictures `[batch, 3, height, width]` in [−1, 1].
///
/// # Errors
/// Where they are too small for the network.
pub fn distance(network: &Perceptual, a: Tensor<4>, b: Tensor<4>) -> Result<Tensor<1>> {
    let batch = a.dims()[0] as f64;
    let device = a.device();
    let layers = network.forward(a)?.into_iter().zip(network.forward(b)?);
    let mut sum = Tensor::<1>::zeros([1], &device);
    for ((a, b), head) in layers.zip(network.heads()) {
        let [_, channels, height, width] = a.dims();
        let weights = TensorData::new(head.clone(), [1, channels, 1, 1]);
        let weights = Tensor::<4>::from_data(weights, &device);
        let square = (unit(a) - unit(b)).square() * weights;
        sum = sum + square.sum() / (batch * (height * width) as f64);
    }
    Ok(sum)
}

/// Each position's feature vector at unit length.
fn unit(features: Tensor<4>) -> Tensor<4> {
    let length = (features.clone().square().sum_dim(1) + EPSILON * EPSILON).sqrt();
    features / (length + EPSILON)
}
