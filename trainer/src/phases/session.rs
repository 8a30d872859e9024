//! A run from where it stands to where it should end.

use burn::tensor::Device;
use glass_schemas::spec::trainer::TrainerSpec;

use super::drift::{DriftProbe, DriftState};
use super::networks::Networks;
use super::state::TrainState;
use super::step::{Stepper, phase_of};
use crate::data::{Order, TrainingSet};
use crate::error::Result;
use crate::guidance::{Guide, Teacher};
use crate::track::{Line, SlotUsage};

/// Which phases a call runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseChoice {
    /// Phase 1 only.
    First,
    /// Phase 2; phase 1 must be there.
    Second,
    /// Both.
    All,
}

impl PhaseChoice {
    /// The step after the last one asked for.
    pub fn end(self, spec: &TrainerSpec) -> u64 {
        match self {
            Self::First => spec.phase1.steps,
            Self::Second | Self::All => spec.phase1.steps + spec.phase2.steps,
        }
    }
}

/// How a call of [`Session::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps asked for are done.
    Finished,
    /// It was asked to stop; the state has been saved.
    Interrupted,
}

/// What surrounds the loop: where it is saved, shown and stopped.
pub trait Surroundings {
    /// Whether to stop after the current step.
    fn stop(&self) -> bool;

    /// Keeps the state.
    ///
    /// # Errors
    /// Where it cannot be kept; training ends.
    fn save(&mut self, state: &TrainState) -> Result<()>;

    /// Shows a line of metrics.
    fn line(&mut self, line: &Line, state: &TrainState);

    /// Shows what slots see.
    ///
    /// # Errors
    /// Where samples cannot be read.
    fn preview(&mut self, state: &TrainState) -> Result<()>;
}

/// A run's constants.
pub struct Session<'a> {
    /// What is trained.
    pub spec: &'a TrainerSpec,
    /// The run's seed.
    pub seed: u64,
    /// On what.
    pub samples: &'a dyn TrainingSet,
    /// Where; an autodiff device.
    pub device: &'a Device,
    /// What phase 1 ended with, where the state is past it.
    pub anchor: Option<Networks>,
    /// Whose masks are distilled, where they are.
    pub teacher: Option<Teacher>,
}

impl<'a> Session<'a> {
    /// What steps from a state, or looks at its samples.
    ///
    /// # Errors
    /// [`crate::TrainerError::Spec`] where guidance lacks its teacher.
    pub fn stepper(&self, state: &TrainState) -> Result<Stepper<'a>> {
        let [tokens, _] = state.networks.feature_shape;
        Ok(Stepper {
            spec: self.spec,
            seed: self.seed,
            samples: self.samples,
            device: self.device,
            guidance: Guide::new(self.spec, tokens.isqrt(), self.teacher.clone())?,
            order: Order::new(self.seed, self.samples.len(), self.spec.data.flip),
            usage: None,
        })
    }

    /// Runs until `end` or until asked to stop. The state is saved every so many steps, at the end
    /// of each phase and before returning.
    ///
    /// # Errors
    /// As a step's and the surroundings'.
    pub fn run(&mut self, state: &mut TrainState, end: u64, around: &mut dyn Surroundings) -> Result<Outcome> {
        let mut stepper = self.stepper(state)?;
        let mut probe = None;
        let mut trained = None;
        let mut saved = state.step;
        while state.step < end {
            if around.stop() {
                if saved != state.step {
                    around.save(state)?;
                }
                return Ok(Outcome::Interrupted);
            }
            self.set_trained(state, &mut trained);
            self.enter_phase2(state, &mut probe)?;
            let losses = stepper.step(state)?;
            for (name, value) in losses.named() {
                state.window.add(name, value);
            }
            for (name, value) in stepper.usage.iter().flat_map(SlotUsage::named) {
                state.window.add(&name, value);
            }
            self.watch_drift(state, probe.as_ref());
            self.track(state, around)?;
            if self.due(state.step, end) {
                around.save(state)?;
                saved = state.step;
            }
        }
        Ok(Outcome::Finished)
    }

    /// The image decoder is trained in the phases that give it a learning rate.
    fn set_trained(&self, state: &mut TrainState, trained: &mut Option<u8>) {
        let Some((number, phase, _)) = phase_of(self.spec, state.step) else {
            return;
        };
        if trained.replace(number) == Some(number) {
            return;
        }
        state.networks = state.networks.clone().in_phase(self.spec, phase);
    }

    fn due(&self, step: u64, end: u64) -> bool {
        let every = self.spec.checkpoint.every;
        step == end || step == self.spec.phase1.steps || (every > 0 && step.is_multiple_of(every))
    }

    fn track(&self, state: &mut TrainState, around: &mut dyn Surroundings) -> Result<()> {
        let spec = &self.spec.track;
        if spec.log_every > 0 && state.step.is_multiple_of(spec.log_every) {
            let phase = phase_of(self.spec, state.step - 1).map_or(2, |(phase, ..)| phase);
            let line = Line { step: state.step, phase, values: state.window.take() };
            state.history.push(line.clone());
            around.line(&line, state);
        }
        if spec.preview_every > 0 && state.step.is_multiple_of(spec.preview_every) {
            around.preview(state)?;
        }
        Ok(())
    }

    /// At the first step of phase 2 that this process does: what to compare slots with.
    fn enter_phase2(&mut self, state: &TrainState, probe: &mut Option<DriftProbe>) -> Result<()> {
        let second = state.step >= self.spec.phase1.steps;
        if !second || probe.is_some() || self.spec.drift.every == 0 {
            return Ok(());
        }
        let anchor = self.anchor.get_or_insert_with(|| state.networks.clone());
        *probe = Some(DriftProbe::new(
            self.samples,
            &anchor.reader(),
            &self.spec.slots,
            &self.spec.drift,
            self.seed,
            &self.device.clone().inner(),
        )?);
        Ok(())
    }

    /// Looks whether slots have drifted; where too far, goes back to phase 1's and freezes them.
    fn watch_drift(&self, state: &mut TrainState, probe: Option<&DriftProbe>) {
        let (Some(probe), Some(anchor)) = (probe, &self.anchor) else {
            return;
        };
        let within = state.step.saturating_sub(self.spec.phase1.steps);
        if state.drift.frozen() || within == 0 || !within.is_multiple_of(self.spec.drift.every) {
            return;
        }
        state.drift.changed = probe.changed(&state.networks.reader());
        state.window.add("drift/changed", state.drift.changed);
        if state.drift.exceeded(&self.spec.drift) {
            tracing::warn!(
                step = state.step,
                changed = state.drift.changed,
                "slots drifted: back to those of phase 1, frozen from here on"
            );
            state.networks = state.networks.clone().with_frozen_slots(anchor);
            state.drift = DriftState { frozen_at: Some(state.step), ..state.drift };
        }
    }
}
