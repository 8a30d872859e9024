//! Dropout with the masks of `ci/reference/pixel_methods.py`.

use burn::tensor::{Tensor, TensorData};
use glass_nets::unet::Dropping;

use crate::pixels::numbers;

/// Masks by the number of the step and of the block.
pub struct GivenDropout {
    share: f32,
    step: usize,
    block: usize,
}

impl GivenDropout {
    pub fn new(share: f32, step: usize) -> Self {
        Self { share, step, block: 0 }
    }
}

impl Dropping for GivenDropout {
    fn drop(&mut self, hidden: Tensor<4>) -> Tensor<4> {
        if self.share == 0.0 {
            return hidden;
        }
        let name = format!("dropped.{}.{}", self.step, self.block);
        self.block += 1;
        let drawn = numbers(&name, hidden.dims().iter().product());
        let bound = 2.0 * self.share - 1.0;
        let mask = drawn.iter().map(|&u| if u >= bound { 1.0 / (1.0 - self.share) } else { 0.0 });
        let mask = TensorData::new(mask.collect::<Vec<f32>>(), hidden.dims());
        hidden.clone() * Tensor::from_data(mask, &hidden.device())
    }
}
