//! The pictures of an evaluation, as `trainer evaluate` lists them.

use serde::Deserialize;

/// `samples.json`.
#[derive(Deserialize)]
pub(crate) struct Samples {
    /// The protocol that the truth is shown as.
    pub(crate) protocol: String,
    pub(crate) samples: Vec<Sample>,
}

/// One image.
#[derive(Deserialize)]
pub(crate) struct Sample {
    pub(crate) image: String,
    pub(crate) views: Vec<View>,
}

/// The image, its truth, or masks of one method over it.
#[derive(Deserialize)]
pub(crate) struct View {
    /// Beside the list.
    pub(crate) file: String,
    pub(crate) caption: String,
}
