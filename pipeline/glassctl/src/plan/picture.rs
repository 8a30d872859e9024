//! A plan as text.

use std::time::Duration;

use super::Plan;
use super::estimate::StageEstimate;
use crate::text::{self, bytes};

pub(super) fn text(plan: &Plan) -> String {
    let mark = |ok: bool| if ok { "✔" } else { "✖" };
    let checks: Vec<[String; 3]> =
        plan.checks.iter().map(|check| [mark(check.ok).to_owned(), check.name.clone(), check.found.clone()]).collect();
    let mut parts = vec![text::table(&checks)];
    if let Some(estimate) = &plan.estimate {
        let mut rows = vec![["stage", "samples", "stored", "time", "memory of a worker"].map(str::to_owned)];
        rows.extend(estimate.stages.iter().map(row));
        rows.push([
            "together".to_owned(),
            String::new(),
            bytes(estimate.bytes),
            text::duration(Duration::from_secs_f64(estimate.seconds)),
            String::new(),
        ]);
        parts.push(text::table(&rows));
        parts.extend(estimate.stages.iter().filter_map(capture));
    }
    let verdict = match plan.ready {
        true => "ready\n",
        false => "not ready: see ✖\n",
    };
    parts.push(verdict.to_owned());
    parts.join("\n")
}

fn row(stage: &StageEstimate) -> [String; 5] {
    [
        stage.stage.to_owned(),
        stage.samples.to_string(),
        bytes(stage.bytes),
        text::duration(Duration::from_secs_f64(stage.seconds)),
        stage.peak_memory.map(bytes).unwrap_or_default(),
    ]
}

/// What watching attention costs; in the noise of a few samples its time may come out below zero.
fn capture(stage: &StageEstimate) -> Option<String> {
    let capture = stage.capture?;
    let memory = match capture.memory {
        Some(more) => format!(" and {} of memory", bytes(u64::try_from(more).unwrap_or(0))),
        None => String::new(),
    };
    let time = match capture.seconds_a_sample {
        seconds if seconds > 0.0 => format!("{seconds:.3} s a sample"),
        _ => "no time that so few samples show".to_owned(),
    };
    Some(format!("capturing attention adds {time}{memory}, measured by leaving it out\n"))
}
