//! What it is trained for: guidance and losses.

use serde::{Deserialize, Serialize};

use super::Switch;

/// How masks steer the slots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuidanceSpec {
    /// Which masks.
    pub source: GuidanceSource,
    /// The run whose decoder masks are the teacher's, for distillation.
    pub teacher: Option<String>,
    /// Whether the ground (label 0) is a component to be matched like an object.
    pub background: Switch,
    /// Side in pixels on which masks are compared: the slot masks are enlarged to it (bilinear),
    /// the pseudo-masks resized (nearest).
    pub resolution: u32,
    /// Weight of a sample by the quality its pseudo-mask was measured to have.
    pub reliability: Reliability,
}

impl Default for GuidanceSpec {
    fn default() -> Self {
        Self {
            source: GuidanceSource::PseudoMasks,
            teacher: None,
            background: Switch::On,
            resolution: 256,
            reliability: Reliability::Off,
        }
    }
}

/// Which masks steer the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuidanceSource {
    /// None.
    None,
    /// Those of the mask datasets: matched slots, binary cross entropy (GLASS).
    PseudoMasks,
    /// The boxes of annotated objects, painted one over the other: the same loss.
    BoxMasks,
    /// The decoder masks of a trained run: matched slots, cross entropy over all slots (SPOT).
    Distillation,
}

/// How the quality columns of the masks weigh a sample's semantic loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reliability {
    /// Every mask counts the same.
    Off,
    /// By the agreement of the masks of the even and the odd sampling steps.
    Agreement,
}

/// `L = diffusion · L_mse + semantic · L_bce + instance · L_feature` (GLASS, Loss & Training).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossSpec {
    /// Weight of the image decoder's loss; phases switch it with `diffusion`.
    pub diffusion: f64,
    /// Weight of the guidance's loss; 0 leaves guidance out.
    pub semantic: f64,
    /// Weight of the feature decoder's loss; 0 leaves instance guidance out.
    pub instance: f64,
    /// The steps over which the semantic weight rises from zero. With the full weight from step
    /// 0, all objects may collapse into one slot before slots have begun to compete for features.
    pub semantic_ramp: Ramp,
}

impl Default for LossSpec {
    fn default() -> Self {
        Self { diffusion: 1.0, semantic: 0.7, instance: 0.9, semantic_ramp: Ramp::default() }
    }
}

/// Zero before `start`, one from `end` on, a straight line between. `start = end = 0` is one throughout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ramp {
    /// Last step with weight zero.
    pub start: u64,
    /// First step with the full weight.
    pub end: u64,
}
