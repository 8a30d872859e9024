//! `[benchmark]`: which methods are trained beside one another, and with how much.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Fault;

/// What `glassctl benchmark` reads. Every training has the same budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BenchmarkSpec {
    /// The methods in the order of the table: names in `manifests/baselines`, or of `changes`.
    pub methods: Vec<String>,
    /// Seeds of training: weights, order and noise. The data is the same for all.
    pub seeds: Vec<u64>,
    /// Optimiser steps of every training, all in its first phase; what `[trainer]` says where absent.
    pub steps: Option<u64>,
    /// Samples in a batch; what `[trainer]` says where absent.
    pub batch: Option<usize>,
    /// Processor time after which a training ends even if steps are left, minutes.
    pub minutes: Option<f64>,
    /// The method that the others are compared with; the first of `methods` where absent.
    pub reference: Option<String>,
    /// What a method changes in this spec, as `--set` would: variants, and sizes of its own.
    pub changes: BTreeMap<String, Vec<String>>,
}

impl Default for BenchmarkSpec {
    fn default() -> Self {
        Self {
            methods: Vec::new(),
            seeds: vec![0, 1, 2],
            steps: None,
            batch: None,
            minutes: None,
            reference: None,
            changes: BTreeMap::new(),
        }
    }
}

impl BenchmarkSpec {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.seeds.is_empty() {
            return Err(("benchmark.seeds", "is empty".to_owned()));
        }
        if self.steps == Some(0) || self.batch == Some(0) {
            return Err(("benchmark", "has no `steps` or `batch` of 0".to_owned()));
        }
        if let Some(minutes) = self.minutes.filter(|minutes| !(*minutes > 0.0 && minutes.is_finite())) {
            return Err(("benchmark.minutes", format!("is {minutes}, it must be more than 0")));
        }
        Ok(())
    }
}
