//! The timesteps of a run: upstream's `set_timesteps`.

use super::config::{SchedulerConfig, SchedulerKind, TimestepSpacing};
use crate::error::{NetsError, Result};

/// Timesteps in the order of the calls; whole numbers but for Euler's `linspace`.
pub(super) fn timesteps(config: &SchedulerConfig, steps: usize) -> Result<Vec<f32>> {
    let train = config.num_train_timesteps;
    if steps == 0 || steps > train {
        return Err(NetsError::input(format!("{steps} sampling steps asked for, expected 1 to {train}")));
    }
    let descending = match config.timestep_spacing {
        TimestepSpacing::Linspace => linspace(config.kind, train, steps),
        TimestepSpacing::Leading => leading(config, steps),
        TimestepSpacing::Trailing => trailing(train, steps),
    };
    if let Some(beyond) = descending.iter().find(|t| **t > (train - 1) as f32) {
        return Err(NetsError::input(format!(
            "{steps} sampling steps reach timestep {beyond}, but the schedule has {train}; ask for fewer"
        )));
    }
    Ok(match config.kind {
        SchedulerKind::Pndm => repeat_second(descending),
        _ => descending,
    })
}

/// DPM-Solver leaves out the lowest of one more point, the others use every point; Euler does not round.
fn linspace(kind: SchedulerKind, train: usize, steps: usize) -> Vec<f32> {
    let points = if kind == SchedulerKind::DpmSolver { steps + 1 } else { steps };
    let stride = if points > 1 { (train - 1) as f64 / (points - 1) as f64 } else { 0.0 };
    let round = |value: f64| match kind {
        SchedulerKind::Euler => value,
        _ => value.round_ties_even(),
    };
    let mut values: Vec<f32> = (0..points).map(|i| round(i as f64 * stride) as f32).rev().collect();
    values.truncate(steps);
    values
}

fn leading(config: &SchedulerConfig, steps: usize) -> Vec<f32> {
    let train = config.num_train_timesteps;
    let (stride, from) = match config.kind {
        SchedulerKind::DpmSolver => (train / (steps + 1), 1),
        _ => (train / steps, 0),
    };
    (from..steps + from).rev().map(|i| (i * stride + config.steps_offset) as f32).collect()
}

fn trailing(train: usize, steps: usize) -> Vec<f32> {
    let stride = train as f64 / steps as f64;
    (0..steps).map(|i| ((train as f64 - i as f64 * stride).round_ties_even() - 1.0).max(0.0) as f32).collect()
}

/// PLMS calls the second timestep twice: its first step is a predictor and a corrector.
fn repeat_second(mut descending: Vec<f32>) -> Vec<f32> {
    if let Some(second) = descending.get(1).copied() {
        descending.insert(1, second);
    }
    descending
}
