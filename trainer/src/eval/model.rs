//! What an evaluation needs of the networks: small traits, so that it does not depend on how slots were trained.

use burn::tensor::Tensor;
use glass_nets::NetsError;
use image::RgbImage;

/// Turns pictures into tokens.
pub trait Encoder {
    /// Square pictures of one size, a multiple of [`Encoder::patch`], to `[batch, tokens, dim]`, tokens row by row.
    ///
    /// # Errors
    /// Where the network refuses them.
    fn features(&self, pictures: &[RgbImage]) -> Result<Tensor<3>, NetsError>;

    /// Side of one token's square in pixels.
    fn patch(&self) -> usize;
}

/// What slot attention finds in one batch.
#[derive(Debug, Clone)]
pub struct Slots {
    /// `[batch, slots, dim]`, as the decoders take them.
    pub slots: Tensor<3>,
    /// The same before their output layer, `[batch, slots, size]`.
    pub raw: Tensor<3>,
    /// Attention of the last iteration, `[batch, slots, tokens]`, summing to one over the slots.
    pub attention: Tensor<3>,
}

/// Groups tokens into slots.
pub trait SlotModel {
    /// Slots it was trained with.
    fn trained_slots(&self) -> usize;

    /// Length of one slot's initial noise.
    fn noise_dim(&self) -> usize;

    /// `features` are `[batch, tokens, dim]`; `noise` is standard normal, `[batch, slots, noise_dim]`, and sets the
    /// number of slots.
    fn attend(&self, features: Tensor<3>, noise: Tensor<3>) -> Slots;

    /// Alpha masks of the feature decoder, `[batch, slots, tokens]`; none where it has no such decoder.
    fn decoder_masks(&self, slots: Tensor<3>) -> Option<Tensor<3>>;
}
