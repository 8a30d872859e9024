//! Metrics as JSON lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainerError};

/// Means over the steps since the line before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps done when the line was written.
    pub step: u64,
    /// The phase of the last of them.
    pub phase: u8,
    /// Values by name; f32, which JSON gives back exactly.
    #[serde(flatten)]
    pub values: BTreeMap<String, f32>,
}

/// All lines of a run so far. It is part of a checkpoint, so that a resumed run neither repeats
/// nor loses one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    lines: Vec<Line>,
}

impl History {
    /// The lines in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Adds a line.
    pub fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// One JSON object a line.
    ///
    /// # Errors
    /// [`TrainerError::State`] where a value cannot be written.
    pub fn to_json_lines(&self) -> Result<String> {
        let mut text = String::new();
        for line in &self.lines {
            let json = serde_json::to_string(line).map_err(|error| TrainerError::state("metrics.jsonl", error))?;
            text.push_str(&json);
            text.push('\n');
        }
        Ok(text)
    }

    /// Reads what [`History::to_json_lines`] wrote.
    ///
    /// # Errors
    /// [`TrainerError::State`] naming the line that cannot be read.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text
            .lines()
            .enumerate()
            .map(|(index, line)| {
                serde_json::from_str(line)
                    .map_err(|error| TrainerError::state(&format!("metrics.jsonl line {}", index + 1), error))
            })
            .collect::<Result<_>>()?;
        Ok(Self { lines })
    }
}

/// Sums over the steps since the last line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The bits of each sum (a decimal would not come back exactly) and how many it has.
    sums: BTreeMap<String, (u64, u64)>,
}

impl Window {
    /// Adds a value of a step.
    pub fn add(&mut self, name: &str, value: f64) {
        let (sum, count) = self.sums.entry(name.to_owned()).or_default();
        *sum = (f64::from_bits(*sum) + value).to_bits();
        *count += 1;
    }

    /// The means, and an empty window.
    pub fn take(&mut self) -> BTreeMap<String, f32> {
        std::mem::take(&mut self.sums)
            .into_iter()
            .map(|(name, (sum, count))| (name, (f64::from_bits(sum) / count as f64) as f32))
            .collect()
    }
}
