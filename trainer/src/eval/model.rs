//! What an evaluation needs of the networks: small traits, so that it does not depend on how slots were trained.

use burn::tensor::Tensor;
use glass_nets::NetsError;
use image::RgbImage;

use crate::data::ObjectBox;

/// Turns pictures into tokens.
pub trait Encoder {
    /// Square pictures of one size, a multiple of [`Encoder::patch`], to `[batch, tokens, dim]`, tokens row by row; or to
    /// the states that a trained encoder goes on from.
    ///
    /// # Errors
    /// Where the network refuses them.
    fn features(&self, pictures: &[RgbImage]) -> Result<Tensor<3>, NetsError>;

    /// What the whole network makes of them without training, `[batch, tokens, dim]`: the same unless they are states.
    fn untrained(&self, features: Tensor<3>) -> Tensor<3> {
        features
    }

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
    /// What the feature decoder is asked for, `[batch, tokens, dim]`.
    pub target: Tensor<3>,
}

/// Whether slots are told about the annotated objects of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// Their boxes.
    Boxes,
}

/// Masks of a decoder that can decode in several orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoderOrders {
    /// The first order.
    Standard,
    /// The mean over all orders.
    Ensemble,
}

/// Groups tokens into slots.
pub trait SlotModel {
    /// Slots it was trained with.
    fn trained_slots(&self) -> usize;

    /// Length of one slot's initial noise.
    fn noise_dim(&self) -> usize;

    /// Width of the tokens that it was made for; none where it makes its own out of pixels, or takes any.
    fn token_width(&self) -> Option<usize> {
        None
    }

    /// `features` are `[batch, tokens, dim]`; `noise` is standard normal, `[batch, slots, noise_dim]`, and sets the
    /// number of slots.
    fn attend(&self, features: Tensor<3>, noise: Tensor<3>) -> Slots;

    /// What it has to be told.
    fn told(&self) -> Told {
        Told::Nothing
    }

    /// [`SlotModel::attend`] with the boxes of each picture's objects.
    fn attend_told(&self, features: Tensor<3>, noise: Tensor<3>, boxes: &[Vec<ObjectBox>]) -> Slots {
        let _ = boxes;
        self.attend(features, noise)
    }

    /// Masks of the decoder, `[batch, slots, positions]`; none where it has no decoder with masks, or not in these
    /// orders.
    fn decoder_masks(&self, found: &Slots, orders: DecoderOrders) -> Option<Tensor<3>>;
}
