//! Truth of pictures that are scored: of any published format, see [`crate::data::annotated`].

pub use crate::data::annotated::{Annotations, Picture, segmentation};
