//! The samples of one step, one by one: which of them made its loss what it was.

use serde::Serialize;

use super::state::TrainState;
use super::step::{StepLosses, Stepper, phase_of, usage_of};
use crate::data::Visit;
use crate::error::{Result, TrainerError};
use crate::guidance::host;
use crate::optim::Gradients;
use crate::track::SlotUsage;

/// One sample as a step sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which, and how.
    pub visit: Visit,
    /// The losses of this sample alone, and the norm of the gradients that it alone would give. The step's losses are
    /// the means of its samples' (of the semantic loss, of the samples that have a component).
    pub losses: StepLosses,
    /// `[slots, tokens]`
    pub attention: Vec<f32>,
    /// How its slots share its tokens.
    pub usage: Option<SlotUsage>,
}

/// Losses as a document has them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LossTerms {
    /// The weighted sum.
    pub total: f32,
    /// Decoded features.
    pub instance: Option<f32>,
    /// Slot masks against guidance.
    pub semantic: Option<f32>,
    /// Denoising.
    pub diffusion: Option<f32>,
    /// Mean IoU of what guidance matched.
    pub overlap: Option<f32>,
    /// Norm of the gradients before clipping.
    pub gradient_norm: f64,
}

impl From<StepLosses> for LossTerms {
    fn from(losses: StepLosses) -> Self {
        let StepLosses { diffusion, semantic, instance, overlap, total, gradient_norm } = losses;
        Self { total, instance, semantic, diffusion, overlap, gradient_norm }
    }
}

impl Stepper<'_> {
    /// The samples of the step that comes after `step` others, batch after batch.
    ///
    /// # Errors
    /// [`TrainerError::State`] where the run is over by then.
    pub fn visits(&mut self, step: u64) -> Result<Vec<Visit>> {
        let Some((_, phase, _)) = phase_of(self.spec, step) else {
            return Err(TrainerError::state("step", "the run is over"));
        };
        let batches = self.spec.optimizer.accumulate.max(1);
        let visits = (0..batches).flat_map(|batch| {
            let position = self.position(step, batch);
            self.order.visits(position, phase.batch)
        });
        Ok(visits.collect())
    }

    /// What the next step of `state` sees of one sample; nothing is trained.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn look(&self, state: &TrainState, visit: Visit) -> Result<Seen> {
        let Some((_, phase, _)) = phase_of(self.spec, state.step) else {
            return Err(TrainerError::state("step", "the run is over"));
        };
        let mut gradients = Gradients::default();
        let (mut losses, attention) = self.backward(state, phase, &[visit], 1.0, &mut gradients)?;
        losses.gradient_norm = gradients.norm(&state.networks, self.spec.optimizer.clip_norm);
        let usage = usage_of(attention.clone());
        Ok(Seen { visit, losses, attention: host(attention), usage })
    }
}
