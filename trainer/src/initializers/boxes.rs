//! Slots that start from the boxes of annotated objects (`init_mlp` of GLASS's evaluation code).

use burn::module::Module;
use burn::tensor::Tensor;

use crate::layers::{Initial, Mlp};

/// Side of the picture in whose pixels boxes are given to the MLP; they are not normalised.
pub const BOX_SIDE: f32 = 256.0;
/// Every coordinate of a slot that has no box.
pub const NO_BOX: f32 = -1.0;

/// `slot = Linear(ReLU(Linear(box)))`, 4 → 2 · size → size; slots without an object get the image
/// of a box of −1.
#[derive(Module, Debug)]
pub struct BoxSlots {
    bbox_mlp: Mlp,
}

impl BoxSlots {
    /// PyTorch's initial values.
    pub fn new(initial: &Initial, size: usize) -> Self {
        Self { bbox_mlp: Mlp::new(initial, "bbox_mlp", [4, 2 * size, size]) }
    }

    /// `boxes [batch, slots, 4]` in pixels of a picture of [`BOX_SIDE`], left, top, right, bottom;
    /// none where no box is known. `noise [batch, slots, size]` only says how many slots there are.
    pub fn forward(&self, noise: Tensor<3>, boxes: Option<Tensor<3>>) -> Tensor<3> {
        let [batch, slots, size] = noise.dims();
        let boxes = boxes.unwrap_or_else(|| Tensor::zeros([batch, slots, 4], &noise.device()).add_scalar(NO_BOX));
        self.bbox_mlp.forward(boxes.reshape([batch * slots, 4])).reshape([batch, slots, size])
    }
}
