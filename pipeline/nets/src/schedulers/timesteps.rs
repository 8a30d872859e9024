//! The timesteps of a run: upstream's `set_timesteps`.

use super::config::{SchedulerConfig, SchedulerKind, TimestepSpacing};
use crate::error::{NetsError, Result};

/// Timesteps in the order of the calls.
pub(super) fn timesteps(config: &SchedulerConfig, steps: usize) -> Result<Vec<usize>> {
    let train = config.num_train_timesteps;
    if steps == 0 || steps > train {
        return Err(NetsError::input(format!(
            "{steps} sampling steps asked for, expected 1 to {train}"
        )));
    }
    let descending = match config.timestep_spacing {
        TimestepSpacing::Linspace => linspace(config.kind, train, steps),
        TimestepSpacing::Leading => leading(config, steps),
        TimestepSpacing::Trailing => trailing(train, steps),
    };
    if let Some(beyond) = descending.iter().find(|t| **t >= train) {
        return Err(NetsError::input(format!(
            "{steps} sampling steps reach timestep {beyond}, but the schedule has {train}; ask for fewer"
        )));
    }
    Ok(match config.kind {
        SchedulerKind::Pndm => repeat_second(descending),
        SchedulerKind::Ddim | SchedulerKind::DpmSolver => descending,
    })
}

/// DPM-Solver leaves out the lowest of one more point, the others use every point.
fn linspace(kind: SchedulerKind, train: usize, steps: usize) -> Vec<usize> {
    let points = if kind == SchedulerKind::DpmSolver {
        steps + 1
    } else {
        steps
    };
    let stride = if points > 1 {
        (train - 1) as f64 / (points - 1) as f64
    } else {
        0.0
    };
    let mut values: Vec<usize> = (0..points)
        .map(|i| (i as f64 * stride).round_ties_even() as usize)
        .rev()
        .collect();
    values.truncate(steps);
    values
}

fn leading(config: &SchedulerConfig, steps: usize) -> Vec<usize> {
    let train = config.num_train_timesteps;
    let (stride, from) = match config.kind {
        SchedulerKind::DpmSolver => (train / (steps + 1), 1),
        SchedulerKind::Ddim | SchedulerKind::Pndm => (train / steps, 0),
    };
    (from..steps + from)
        .rev()
        .map(|i| i * stride + config.steps_offset)
        .collect()
}

fn trailing(train: usize, steps: usize) -> Vec<usize> {
    let stride = train as f64 / steps as f64;
    (0..steps)
        .map(|i| ((train as f64 - i as f64 * stride).round_ties_even() as usize).saturating_sub(1))
        .collect()
}

/// PLMS calls the second timestep twice: its first step is a predictor and a corrector.
fn repeat_second(mut descending: Vec<usize>) -> Vec<usize> {
    if let Some(second) = descending.get(1).copied() {
        descending.insert(1, second);
    }
    descending
}
