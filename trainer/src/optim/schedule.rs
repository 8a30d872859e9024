//! Learning rate by step.

use glass_schemas::spec::trainer::{PhaseSpec, Schedule};

/// The share of the highest rate at `step` (from 0) of a phase: a straight rise over the warm-up
/// times the schedule.
pub fn learning_rate(phase: &PhaseSpec, step: u64) -> f64 {
    let warmup = if phase.warmup == 0 {
        1.0
    } else {
        ((step + 1) as f64 / phase.warmup as f64).min(1.0)
    };
    warmup
        * match phase.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                0.5 + 0.5 * (std::f64::consts::PI * step as f64 / phase.steps.max(1) as f64).cos()
            }
        }
}
