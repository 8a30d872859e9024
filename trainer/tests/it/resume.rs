//! Stopping anywhere and continuing.

use std::collections::BTreeMap;

use glass_schemas::spec::trainer::{DriftAction, TrainerSpec};
use glass_trainer::checkpoint::{Objects, pack, unpack};
use glass_trainer::data::TrainingSet;
use glass_trainer::phases::{Networks, Outcome, PhaseChoice, Session, Surroundings, TrainState};
use glass_trainer::track::Line;

use crate::support::{device, samples, small_spec};

const SEED: u64 = 11;

/// Keeps what is saved; asks to stop after so many steps.
struct Kept<'a> {
    spec: &'a TrainerSpec,
    saved: BTreeMap<u64, Objects>,
    left: std::cell::Cell<u64>,
}

impl Surroundings for Kept<'_> {
    fn stop(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left == 0
    }
    fn save(&mut self, state: &TrainState) -> glass_trainer::Result<()> {
        self.saved.insert(state.step, pack(state, self.spec)?);
        Ok(())
    }
    fn line(&mut self, _: &Line, _: &TrainState) {}
    fn preview(&mut self, _: &TrainState) -> glass_trainer::Result<()> {
        Ok(())
    }
}

fn networks(spec: &TrainerSpec) -> Networks {
    Networks::new(spec, samples().feature_shape(), SEED, &device())
}

/// Runs from the newest of `saved` for at most `steps` steps.
fn run(spec: &TrainerSpec, saved: BTreeMap<u64, Objects>, steps: u64) -> (BTreeMap<u64, Objects>, Outcome, TrainState) {
    let set = samples();
    let mut state = match saved.last_key_value() {
        Some((_, objects)) => unpack(objects, spec, networks(spec)).unwrap(),
        None => TrainState::new(spec, networks(spec)),
    };
    let anchor = (state.step > spec.phase1.steps).then(|| {
        let objects = &saved[&spec.phase1.steps];
        unpack(objects, spec, networks(spec)).unwrap().networks
    });
    let mut around = Kept { spec, saved, left: steps.into() };
    let device = device();
    let mut session = Session { spec, seed: SEED, samples: &set, device: &device, anchor, teacher: None };
    let end = PhaseChoice::All.end(spec);
    let outcome = session.run(&mut state, end, &mut around).unwrap();
    (around.saved, outcome, state)
}

#[test]
fn a_run_stopped_anywhere_ends_with_the_same_bytes() {
    let spec = small_spec();
    let (whole, outcome, state) = run(&spec, BTreeMap::new(), u64::MAX);
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(state.history.lines().len(), 5);
    for stop in [1, 3, 5, 6, 7, 9] {
        let (saved, outcome, _) = run(&spec, BTreeMap::new(), stop);
        assert_eq!(outcome, Outcome::Interrupted);
        assert_eq!(saved.last_key_value().unwrap().0, &stop);
        let (resumed, outcome, _) = run(&spec, saved, u64::MAX);
        assert_eq!(outcome, Outcome::Finished);
        let (last, again) = (&whole[&10], &resumed[&10]);
        // Moments are written in no fixed order; that they are right shows in the weights.
        let ordered = last.iter().filter(|(name, _)| !name.ends_with(".bpk"));
        for (name, bytes) in ordered {
            assert!(bytes == &again[name], "{name} differs after a stop at {stop}");
        }
    }
}

#[test]
fn training_lowers_the_loss() {
    let mut spec = small_spec();
    spec.phase1.steps = 60;
    spec.phase2.steps = 0;
    spec.phase1.learning_rate.slots = 5e-3;
    spec.phase1.learning_rate.features = 5e-3;
    let (_, _, state) = run(&spec, BTreeMap::new(), u64::MAX);
    let instance = |line: &Line| line.values["loss/instance"];
    let lines = state.history.lines();
    assert!(instance(&lines[lines.len() - 1]) < 0.8 * instance(&lines[0]));
}

#[test]
fn gradients_of_two_half_batches_are_those_of_one() {
    let step = |accumulate: u32, batch: usize| {
        let mut spec = small_spec();
        spec.optimizer.accumulate = accumulate;
        spec.phase1.batch = batch;
        spec.loss.semantic = 0.0;
        let (saved, ..) = run(&spec, BTreeMap::new(), 2);
        saved[&2]["metrics.jsonl"].clone()
    };
    let line = |bytes: Vec<u8>| -> Line { serde_json::from_slice(&bytes).unwrap() };
    let (whole, halves) = (line(step(1, 4)), line(step(2, 2)));
    let compared = |name: &str| name.starts_with("loss/") || name.starts_with("gradient/");
    // Not who wins a token: two slots can be equal up to the order of sums.
    for (name, value) in whole.values.iter().filter(|(name, _)| compared(name)) {
        assert!((value - halves.values[name]).abs() < 1e-5, "{name}");
    }
    assert!(whole.values.keys().filter(|name| compared(name)).count() >= 3);
}

#[test]
fn slots_that_drift_too_far_go_back_and_stay() {
    let mut spec = small_spec();
    spec.drift.threshold = 0.0;
    spec.drift.action = DriftAction::Freeze;
    spec.phase2.learning_rate.slots = 0.5;
    spec.phase2.warmup = 0;
    let (saved, _, state) = run(&spec, BTreeMap::new(), u64::MAX);
    assert_eq!(state.drift.frozen_at, Some(8));
    let slots = "multiheadstevesa/diffusion_pytorch_model.safetensors";
    assert!(saved[&6][slots] == saved[&10][slots]);
    spec.drift.action = DriftAction::Watch;
    let (saved, _, state) = run(&spec, BTreeMap::new(), u64::MAX);
    assert!(!state.drift.frozen() && state.drift.changed > 0.0);
    assert!(saved[&6][slots] != saved[&10][slots]);
}

#[test]
fn a_checkpoint_of_other_sizes_names_the_tensor() {
    let spec = small_spec();
    let (saved, ..) = run(&spec, BTreeMap::new(), 2);
    let mut other = spec.clone();
    other.slots.mlp_size = 20;
    let error = unpack(&saved[&2], &other, networks(&other)).err().unwrap().to_string();
    assert!(error.contains("mlp.0.weight") && error.contains("[20, 8]"), "{error}");
}
