//! What training sees: samples by index, drawn in an order that is a function of the seed.

mod latents;
mod local;
mod memory;
mod order;
mod prepare;
mod rows;

use burn::tensor::{Device, Tensor};

use image::RgbImage;

pub use latents::LatentEncoder;
pub use local::{FeatureSource, JoinCount, LocalSet, SetIndex};
pub use memory::MemorySet;
pub use order::{Order, Side, Visit, mirror, step_tokens, visit_stream};
pub use prepare::{Preparation, Upstream};
pub use rows::{RowWriter, Rows};

use crate::error::Result;

/// Samples that can be visited in any order.
pub trait TrainingSet: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens a sample has, and the width of their features.
    fn feature_shape(&self) -> [usize; 2];

    /// Frozen features, `[visits, tokens, size]`.
    ///
    /// # Errors
    /// Where they cannot be read or computed.
    fn features(&self, visits: &[Visit], device: &Device) -> Result<Tensor<3>>;

    /// Pseudo-masks at the resolution of the guidance, one after the other.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn masks(&self, visits: &[Visit]) -> Result<Vec<u8>>;

    /// How much each sample's semantic loss counts.
    fn weights(&self, visits: &[Visit]) -> Vec<f32>;

    /// Clean latents, scaled, `[visits, channels, height, width]`.
    ///
    /// # Errors
    /// Where they cannot be read or encoded.
    fn latents(&self, visits: &[Visit], device: &Device) -> Result<Tensor<4>>;

    /// One sample's picture.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn picture(&self, visit: &Visit) -> Result<RgbImage>;
}
