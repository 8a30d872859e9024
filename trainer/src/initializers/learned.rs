//! One learned start a slot (`learnable_slot_init` of Latent Slot Diffusion).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::layers::Initial;

/// As many vectors as there are slots; no noise.
#[derive(Module, Debug)]
pub struct LearnedSlots {
    /// `[1, slots, size]`
    pub slot_mu: Param<Tensor<3>>,
}

impl LearnedSlots {
    /// Xavier uniform on `[1, slots, size]`: fan in `slots · size`, fan out `size`.
    pub fn new(initial: &Initial, slots: usize, size: usize) -> Self {
        let bound = (6.0 / ((slots + 1) * size) as f32).sqrt();
        Self { slot_mu: initial.uniform("slot_mu", [1, slots, size], bound) }
    }

    /// Normal numbers of unit variance (SlotDiffusion, `init_latents`).
    pub fn normal(initial: &Initial, slots: usize, size: usize) -> Self {
        Self { slot_mu: initial.normal("slot_mu", [1, slots, size], 1.0) }
    }

    /// `noise [batch, slots, size]` only says how many are wanted.
    pub fn forward(&self, noise: Tensor<3>) -> Tensor<3> {
        let [batch, _, _] = noise.dims();
        self.slot_mu.val().repeat_dim(0, batch)
    }
}
