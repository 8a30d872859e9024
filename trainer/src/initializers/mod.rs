//! Where slots start: one file a way, one variant a socket.

mod gaussian;
mod learned;

use burn::module::Module;
use burn::tensor::Tensor;
use glass_schemas::spec::trainer::InitialSlots;

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
}

impl Initializer {
    /// The one that the spec names.
    pub fn new(kind: InitialSlots, initial: &Initial, slots: usize, size: usize) -> Self {
        match kind {
            InitialSlots::Gaussian => Self::Gaussian(GaussianSlots::new(initial, size)),
            InitialSlots::Learned => Self::Learned(LearnedSlots::new(initial, slots, size)),
        }
    }

    /// `noise [batch, slots, size]`, standard normal → initial slots of that shape.
    pub fn forward(&self, noise: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Gaussian(gaussian) => gaussian.forward(noise),
            Self::Learned(learned) => learned.forward(noise),
        }
    }
}
