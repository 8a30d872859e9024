//! How it is trained: optimiser, phases, learning rates.

use serde::{Deserialize, Deserializer, Serialize};

use super::Switch;

/// The optimiser, the same for every parameter but for its learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSpec {
    /// Which one.
    pub name: OptimizerName,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay (AdamW) or L2 penalty (Adam).
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 does not clip.
    pub clip: f64,
    /// Which norm that is.
    pub clip_norm: ClipNorm,
    /// Over which gradients it is taken.
    pub clip_scope: ClipScope,
    /// Batches whose gradients are averaged before a step.
    pub accumulate: u32,
    /// Decay of the averaged weights; 0 keeps no average.
    pub ema: f64,
}

impl Default for OptimizerSpec {
    fn default() -> Self {
        Self {
            name: OptimizerName::AdamW,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-2,
            clip: 1.0,
            clip_norm: ClipNorm::L2,
            clip_scope: ClipScope::All,
            accumulate: 1,
            ema: 0.0,
        }
    }
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Adam.
    Adam,
    /// AdamW.
    AdamW,
}

/// The norm that gradients are clipped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipNorm {
    /// Root of the sum of squares.
    L2,
    /// The largest component (SPOT).
    Infinity,
}

/// Which gradients are clipped together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipScope {
    /// Those of all networks.
    All,
    /// Those of each network (SlotDiffusion).
    Part,
}

/// One phase of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhaseSpec {
    /// Optimiser steps.
    pub steps: u64,
    /// Samples in a batch.
    pub batch: usize,
    /// Whether the image decoder's loss is part of the phase.
    pub diffusion: Switch,
    /// Highest learning rates.
    pub learning_rate: LearningRates,
    /// Steps over which the learning rate rises from zero.
    pub warmup: u64,
    /// What it does afterwards.
    pub schedule: Schedule,
    /// The share of the highest rate that a cosine ends with.
    pub floor: f64,
    /// Steps in which the rate halves, where the schedule halves it.
    pub half_life: u64,
}

impl Default for PhaseSpec {
    fn default() -> Self {
        Self {
            steps: 500_000,
            batch: 128,
            diffusion: Switch::On,
            learning_rate: LearningRates::default(),
            warmup: 2_500,
            schedule: Schedule::Constant,
            floor: 0.0,
            half_life: 100_000,
        }
    }
}

impl PhaseSpec {
    /// The defaults of phase 2: the UNet at phase 1's rate, the rest at a tenth of it.
    pub(super) fn second() -> Self {
        Self {
            steps: 100_000,
            learning_rate: LearningRates { slots: 2e-6, features: 2e-6, unet: 2e-5, encoder: 0.0, image: 0.0 },
            ..Self::default()
        }
    }
}

/// Keys of phase 2 that are not written have phase 2's defaults, not phase 1's.
pub(super) fn second_phase<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PhaseSpec, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        steps: Option<u64>,
        batch: Option<usize>,
        diffusion: Option<Switch>,
        learning_rate: Option<WrittenRates>,
        warmup: Option<u64>,
        schedule: Option<Schedule>,
        floor: Option<f64>,
        half_life: Option<u64>,
    }
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct WrittenRates {
        slots: Option<f64>,
        features: Option<f64>,
        unet: Option<f64>,
        encoder: Option<f64>,
        image: Option<f64>,
    }
    let written = Written::deserialize(deserializer)?;
    let (default, rates) = (PhaseSpec::second(), written.learning_rate.unwrap_or_default());
    Ok(PhaseSpec {
        steps: written.steps.unwrap_or(default.steps),
        batch: written.batch.unwrap_or(default.batch),
        diffusion: written.diffusion.unwrap_or(default.diffusion),
        learning_rate: LearningRates {
            slots: rates.slots.unwrap_or(default.learning_rate.slots),
            features: rates.features.unwrap_or(default.learning_rate.features),
            unet: rates.unet.unwrap_or(default.learning_rate.unet),
            encoder: rates.encoder.unwrap_or(default.learning_rate.encoder),
            image: rates.image.unwrap_or(default.learning_rate.image),
        },
        warmup: written.warmup.unwrap_or(default.warmup),
        schedule: written.schedule.unwrap_or(default.schedule),
        floor: written.floor.unwrap_or(default.floor),
        half_life: written.half_life.unwrap_or(default.half_life),
    })
}

/// Learning rates by parameter group; 0 freezes the group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearningRates {
    /// Slot attention.
    pub slots: f64,
    /// The feature decoder.
    pub features: f64,
    /// The pretrained UNet.
    pub unet: f64,
    /// The trained part of the encoder.
    pub encoder: f64,
    /// An image decoder that is trained from nothing.
    pub image: f64,
}

impl Default for LearningRates {
    fn default() -> Self {
        Self { slots: 2e-5, features: 2e-5, unet: 0.0, encoder: 0.0, image: 0.0 }
    }
}

/// The learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Stays.
    Constant,
    /// Falls to the floor at the phase's last step along half a cosine that begins with the phase.
    Cosine,
    /// The same with a cosine that begins after the warm-up (SPOT's `cosine_scheduler`).
    CosineAfterWarmup,
    /// Halves every `half_life` steps after the warm-up (OCLF's
    /// `exponential_decay_after_optional_warmup`).
    Halving,
}
