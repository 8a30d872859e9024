//! Drawings that wait to be drawn together.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Tensor;

use super::shelf::{Shelf, put_picture};
use crate::decoders::{Painter, Sampling};

/// Slots that are to become a picture.
pub struct Waiting {
    /// The file.
    pub file: String,
    /// `[slots, dim]`
    pub slots: Tensor<2>,
    /// Decides the initial noise.
    pub subject: String,
    /// Denoising steps.
    pub steps: usize,
}

/// Draws slot sets of one length and one number of steps together, in batches; a picture does not depend on which
/// others are drawn with it.
pub struct Queue {
    waiting: BTreeMap<(usize, usize), Vec<Waiting>>,
    there: BTreeSet<String>,
    batch: usize,
}

impl Queue {
    /// Leaves out what is there already.
    pub fn new(there: BTreeSet<String>, batch: usize) -> Self {
        Self { waiting: BTreeMap::new(), there, batch }
    }

    /// Whether a file is there.
    pub fn has(&self, file: &str) -> bool {
        self.there.contains(file)
    }

    /// Adds a drawing, and draws those like it once there is a batch of them.
    ///
    /// # Errors
    /// Where the networks or the shelf refuse.
    pub fn push(
        &mut self,
        waiting: Waiting,
        painter: &dyn Painter,
        sampling: &Sampling,
        shelf: &mut dyn Shelf,
    ) -> anyhow::Result<()> {
        if self.has(&waiting.file) {
            return Ok(());
        }
        let like = self.waiting.entry((waiting.slots.dims()[0], waiting.steps)).or_default();
        like.push(waiting);
        if like.len() < self.batch {
            return Ok(());
        }
        let batch = std::mem::take(like);
        draw(&batch, painter, sampling, shelf)
    }

    /// Draws everything that still waits.
    ///
    /// # Errors
    /// As [`Queue::push`].
    pub fn finish(self, painter: &dyn Painter, sampling: &Sampling, shelf: &mut dyn Shelf) -> anyhow::Result<()> {
        self.waiting
            .values()
            .filter(|batch| !batch.is_empty())
            .try_for_each(|batch| draw(batch, painter, sampling, shelf))
    }
}

fn draw(batch: &[Waiting], painter: &dyn Painter, sampling: &Sampling, shelf: &mut dyn Shelf) -> anyhow::Result<()> {
    let slots = Tensor::stack(batch.iter().map(|waiting| waiting.slots.clone()).collect(), 0);
    let subjects: Vec<&str> = batch.iter().map(|waiting| waiting.subject.as_str()).collect();
    let sampling = Sampling { steps: batch.first().map_or(sampling.steps, |waiting| waiting.steps), ..*sampling };
    let drawings = painter.draw(slots, &subjects, &sampling)?;
    batch.iter().zip(&drawings).try_for_each(|(waiting, drawing)| put_picture(shelf, &waiting.file, drawing))
}
