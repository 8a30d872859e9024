//! Learning rate by step.

use std::f64::consts::PI;

use glass_schemas::spec::trainer::{PhaseSpec, Schedule};

/// The share of the highest rate at `step` (from 0) of a phase: a straight rise over the warm-up and
/// what the schedule does afterwards.
pub fn learning_rate(phase: &PhaseSpec, step: u64) -> f64 {
    let warmup = phase.warmup;
    match phase.schedule {
        Schedule::Constant => rise(step + 1, warmup),
        Schedule::Cosine => rise(step + 1, warmup) * cosine(phase.floor, step as f64 / phase.steps.max(1) as f64),
        // `numpy.linspace(0, 1, warmup)`, then the cosine over the rest.
        Schedule::CosineAfterWarmup if step < warmup => step as f64 / warmup.saturating_sub(1).max(1) as f64,
        Schedule::CosineAfterWarmup => {
            let rest = phase.steps.saturating_sub(warmup).max(1);
            cosine(phase.floor, (step - warmup) as f64 / rest as f64)
        }
        Schedule::Halving if step < warmup => rise(step, warmup),
        Schedule::Halving => 0.5f64.powf((step - warmup) as f64 / phase.half_life.max(1) as f64),
    }
}

fn rise(step: u64, warmup: u64) -> f64 {
    match warmup {
        0 => 1.0,
        warmup => (step as f64 / warmup as f64).min(1.0),
    }
}

/// From one to `floor` along half a cosine.
fn cosine(floor: f64, progress: f64) -> f64 {
    floor + (1.0 - floor) * (0.5 + 0.5 * (PI * progress).cos())
}
