//! Where slots start: one file a way, one variant a socket.

mod boxes;
mod gaussian;
mod learned;

use burn::module::Module;
use burn::tensor::Tensor;
use glass_schemas::spec::trainer::InitialSlots;

pub use boxes::{BOX_SIDE, BoxSlots, NO_BOX};
pub use gaussian::GaussianSlots;
pub use learned::LearnedSlots;

use crate::layers::Initial;

/// A way to start slots.
#[derive(Module, Debug)]
pub enum Initializer {
    /// Drawn from one learned Gaussian.
    Gaussian(GaussianSlots),
    /// One learned vector a slot.
    Learned(LearnedSlots),
    /// From the boxes of objects.
    Boxes(BoxSlots),
}

impl Initializer {
    /// The one that the spec names.
    pub fn new(kind: InitialSlots, initial: &Initial, slots: usize, size: usize) -> Self {
        match kind {
            InitialSlots::Gaussian => Self::Gaussian(GaussianSlots::new(initial, size)),
            InitialSlots::Learned => Self::Learned(LearnedSlots::new(initial, slots, size)),
            InitialSlots::Normal => Self::Learned(LearnedSlots::normal(initial, slots, size)),
            InitialSlots::Boxes => Self::Boxes(BoxSlots::new(initial, size)),
        }
    }

    /// `noise [batch, slots, size]`, standard normal, and `boxes [batch, slots, 4]` where they are
    /// known → initial slots of the shape of the noise.
    pub fn forward(&self, noise: Tensor<3>, boxes: Option<Tensor<3>>) -> Tensor<3> {
        match self {
            Self::Gaussian(gaussian) => gaussian.forward(noise),
            Self::Learned(learned) => learned.forward(noise),
            Self::Boxes(from_boxes) => from_boxes.forward(noise, boxes),
        }
    }
}
