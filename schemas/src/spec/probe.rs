//! `[evaluation.probe]`: properties of objects read from frozen slots.

use serde::{Deserialize, Serialize};

/// What is read and how. Defaults: Latent Slot Diffusion (`src/eval/eval.py`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeSpec {
    /// What is read from a slot.
    pub properties: Vec<Property>,
    /// Full-batch steps.
    pub steps: u32,
    /// Learning rate of AdamW.
    pub learning_rate: f64,
    /// Weight decay of AdamW.
    pub weight_decay: f64,
    /// Share of the objects that is learned from; the rest is scored.
    pub train_share: f64,
    /// Seed of the split and of the initial weights.
    pub seed: u64,
}

impl Default for ProbeSpec {
    fn default() -> Self {
        Self {
            properties: vec![Property::Category, Property::Box],
            steps: 4000,
            learning_rate: 1e-3,
            weight_decay: 1e-2,
            train_share: 0.83,
            seed: 666,
        }
    }
}

/// A property of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Property {
    /// Its class, by a linear map.
    Category,
    /// Centre and size of its box as shares of the picture, by an MLP.
    Box,
}
