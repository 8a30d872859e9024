//! `L = L_mse + λ_s · L_bce + λ_i · L_feature` (GLASS, Loss & Training).

use burn::tensor::Tensor;
use glass_schemas::spec::trainer::Ramp;

/// Mean square of the difference.
pub fn mean_square<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<1> {
    (a - b).square().mean()
}

/// The share of the full weight at a step.
pub fn ramp(ramp: Ramp, step: u64) -> f64 {
    if step >= ramp.end {
        1.0
    } else if step <= ramp.start {
        0.0
    } else {
        (step - ramp.start) as f64 / (ramp.end - ramp.start) as f64
    }
}
