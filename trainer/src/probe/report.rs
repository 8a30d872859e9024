//! Scores of the probes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Scores of one property on the objects that were not learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The property.
    pub property: String,
    /// The probe.
    pub probe: String,
    /// Objects learned from.
    pub trained: usize,
    /// Objects scored.
    pub tested: usize,
    /// Loss of the last step.
    pub loss: f32,
    /// Share of the objects whose class was found.
    pub accuracy: Option<f64>,
    /// Share that the most frequent class of the first part has in the second: what knowing nothing gives.
    pub most_frequent: Option<f64>,
    /// Mean squared error of what was brought to [−1, 1].
    pub squared_error: Option<f64>,
    /// Coefficient of determination, mean over columns; zero is what knowing nothing gives.
    pub r2: Option<f64>,
    /// The same column by column.
    pub r2_columns: Option<Vec<f64>>,
}

/// `results.json` of a probe.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Name of the probe: the digest of everything that decides its numbers.
    pub id: String,
    /// The run.
    pub run: String,
    /// The checkpoint.
    pub checkpoint: String,
    /// Protocol that says how pictures are brought to the encoder.
    pub protocol: String,
    /// Pictures.
    pub pictures: usize,
    /// Annotated objects with a pixel in the encoder's square.
    pub objects: usize,
    /// Those that were given a slot.
    pub matched: usize,
    /// Width of a slot before its output layer.
    pub slot_size: usize,
    /// Seed of the slots' noise.
    pub slot_seed: u64,
    /// The settings, defaults included.
    pub settings: glass_schemas::spec::probe::ProbeSpec,
    /// Property by property.
    pub outcomes: Vec<Outcome>,
}

/// Share of equal entries.
pub fn accuracy(found: &[usize], truth: &[usize]) -> f64 {
    let right = found.iter().zip(truth).filter(|(found, truth)| found == truth).count();
    right as f64 / truth.len().max(1) as f64
}

/// Coefficient of determination of every column of `[rows, width]`, as scikit-learn's `r2_score`: a column of one value
/// scores 1 where it was found exactly and 0 where not.
pub fn r2(found: &[f32], truth: &[f32], width: usize) -> Vec<f64> {
    let column = |at: usize| {
        let of = |values: &[f32]| values.iter().skip(at).step_by(width).map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let (found, truth) = (of(found), of(truth));
        let mean = truth.iter().sum::<f64>() / truth.len().max(1) as f64;
        let left: f64 = found.iter().zip(&truth).map(|(found, truth)| (found - truth) * (found - truth)).sum();
        let all: f64 = truth.iter().map(|truth| (truth - mean) * (truth - mean)).sum();
        match (left == 0.0, all == 0.0) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => 1.0 - left / all,
        }
    };
    (0..width).map(column).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, pictures, objects, matched, slot_size, .. } = self;
        writeln!(
            f,
            "run {run}: {matched} of {objects} objects in {pictures} pictures have a slot of {slot_size} numbers"
        )?;
        let heads = ["probe", "train", "test", "accuracy", "most freq.", "MSE", "R²"];
        write!(f, "{:10}", "")?;
        for head in heads {
            write!(f, " {head:>10}")?;
        }
        writeln!(f)?;
        for outcome in &self.outcomes {
            let Outcome { property, probe, trained, tested, .. } = outcome;
            write!(f, "{property:10} {probe:>10} {trained:>10} {tested:>10}")?;
            for value in [outcome.accuracy, outcome.most_frequent, outcome.squared_error, outcome.r2] {
                let text = value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
                write!(f, " {text:>10}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
