//! What frozen slots know of their objects: properties read by a linear map or a small MLP.
//!
//! As in Latent Slot Diffusion's evaluation: every annotated object of a picture is matched to a slot by their masks,
//! the properties of the objects are learned from the slots of one part of the objects and scored on the rest. Slots
//! and labels of all objects are in memory, pictures are not.

pub mod collect;
pub mod fit;
pub mod job;
pub mod matching;
pub mod report;
pub mod split;

pub use collect::Objects;
pub use fit::Fit;
pub use report::{Outcome, Report};
