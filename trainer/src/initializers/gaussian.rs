//! Slots drawn from one Gaussian, so that their number is free at test time.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::layers::Initial;

/// `slot = μ + exp(log σ) · noise`, shared by all slots.
#[derive(Module, Debug)]
pub struct GaussianSlots {
    /// `[1, 1, size]`
    pub slot_mu: Param<Tensor<3>>,
    /// `[1, 1, size]`
    pub slot_log_sigma: Param<Tensor<3>>,
}

impl GaussianSlots {
    /// Xavier uniform on `[1, 1, size]`: both fans are `size`.
    pub fn new(initial: &Initial, size: usize) -> Self {
        let bound = (6.0 / (2.0 * size as f32)).sqrt();
        Self {
            slot_mu: initial.uniform("slot_mu", [1, 1, size], bound),
            slot_log_sigma: initial.uniform("slot_log_sigma", [1, 1, size], bound),
        }
    }

    /// `noise [batch, slots, size]` → the same shape.
    pub fn forward(&self, noise: Tensor<3>) -> Tensor<3> {
        self.slot_mu.val() + self.slot_log_sigma.val().exp() * noise
    }
}
