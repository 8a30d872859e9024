//! Dropout in the residual blocks of a UNet, for training.
//!
//! The network does not draw: it asks a [`Dropping`] what becomes of each block's activations, so that masks
//! can be functions of a sample and not of a generator that a whole run shares.

use burn::tensor::Tensor;

/// What becomes of the activations of a residual block, between its second norm and its second convolution.
pub trait Dropping {
    /// `hidden` `[batch, channels, height, width]` of the block that the network comes to next; blocks come in
    /// the order of computation, the same in every call.
    fn drop(&mut self, hidden: Tensor<4>) -> Tensor<4>;
}

/// Nothing is dropped: evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whole;

impl Dropping for Whole {
    fn drop(&mut self, hidden: Tensor<4>) -> Tensor<4> {
        hidden
    }
}
