//! One batch of a step: what its sockets may ask for.

use burn::tensor::{Device, Tensor};
use glass_schemas::seeds::{Purpose, Stream};
use image::RgbImage;

use super::{ObjectBox, TrainingSet, Visit, visit_stream};
use crate::error::Result;

/// The visits of one batch, with everything that decides what is drawn for them. Data is read when
/// it is asked for: a method pays for what it uses.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Where samples come from.
    pub samples: &'a dyn TrainingSet,
    /// Which samples.
    pub visits: &'a [Visit],
    /// The run's seed.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// Where tensors go.
    pub device: &'a Device,
}

impl Batch<'_> {
    /// One stream of random numbers a sample.
    pub fn streams(&self, purpose: Purpose) -> Vec<Stream> {
        let stream = |visit| visit_stream(self.seed, purpose, visit);
        self.visits.iter().map(stream).collect()
    }

    /// What the frozen part of the encoder gives, `[batch, rows, size]`.
    ///
    /// # Errors
    /// As the training set's.
    pub fn states(&self) -> Result<Tensor<3>> {
        self.samples.features(self.visits, self.device)
    }

    /// Clean latents, scaled, `[batch, channels, height, width]`.
    ///
    /// # Errors
    /// As the training set's.
    pub fn latents(&self) -> Result<Tensor<4>> {
        self.samples.latents(self.visits, self.device)
    }

    /// The pictures as they are visited.
    ///
    /// # Errors
    /// As the training set's.
    pub fn pictures(&self) -> Result<Vec<RgbImage>> {
        self.samples.pictures(self.visits)
    }

    /// Boxes of the annotated objects of each sample.
    ///
    /// # Errors
    /// As the training set's.
    pub fn boxes(&self) -> Result<Vec<Vec<ObjectBox>>> {
        self.samples.boxes(self.visits)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.visits.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.visits.is_empty()
    }
}
