//! `[masks]`: attention means → pseudo-masks.

use serde::{Deserialize, Serialize};

use super::Fault;

/// How maps become class scores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtractorChoice {
    /// Self-attention^τ · cross-attention (GLASS, Dataset-Diffusion).
    #[default]
    SelfRefined,
    /// Cross-attention of every resolution, clamped and averaged (DAAM).
    Daam,
    /// Cross-attention of every resolution at the image's size, each over its maximum, averaged (DiffuMask).
    #[serde(rename = "diffumask")]
    DiffuMask,
    /// Cross-attention as it is.
    CrossOnly,
}

/// How scores become labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdChoice {
    /// Ground below `low`, a class from `high` on, uncertain between the two.
    #[default]
    Interval,
    /// A threshold of its own for every class of every image, between `low` and `high`; nothing is uncertain.
    Adaptive,
}

impl ThresholdChoice {
    fn is_interval(&self) -> bool {
        *self == Self::Interval
    }
}

/// The extractor's constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MasksSpec {
    /// How maps become class scores.
    pub extractor: ExtractorChoice,
    /// Cross-attention resolutions; several are averaged at the self-attention's.
    pub cross_resolutions: Vec<u32>,
    /// How much each of these weighs (`daam` only); empty: all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cross_weights: Vec<f32>,
    /// Self-attention resolution.
    pub self_resolution: u32,
    /// τ: how often self-attention is applied.
    pub power: u32,
    /// How scores become labels.
    #[serde(skip_serializing_if = "ThresholdChoice::is_interval")]
    pub threshold: ThresholdChoice,
    /// Below this a pixel is ground.
    pub low: f32,
    /// From this on a pixel has a class; between the two it is uncertain (255).
    pub high: f32,
    /// Side of the mask in pixels; 0 takes the image's.
    pub size: u32,
    /// Drop a class whose un-normalised peak is below this.
    pub drop_below_peak: Option<f32>,
    /// Drop a class with a smaller share of the pixels.
    pub drop_below_area: Option<f32>,
    /// Drop a class on which even and odd calls agree less.
    pub drop_below_agreement: Option<f32>,
}

impl Default for MasksSpec {
    fn default() -> Self {
        Self {
            extractor: ExtractorChoice::default(),
            cross_resolutions: vec![16],
            cross_weights: Vec::new(),
            self_resolution: 32,
            power: 4,
            threshold: ThresholdChoice::default(),
            low: 0.5,
            high: 0.6,
            size: 0,
            drop_below_peak: None,
            drop_below_area: None,
            drop_below_agreement: None,
        }
    }
}

impl MasksSpec {
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.low.is_nan() || self.high.is_nan() || self.low > self.high {
            let message = format!("is {}, above `masks.high` {}", self.low, self.high);
            return Err(("masks.low", message));
        }
        if self.cross_resolutions.is_empty() {
            return Err(("masks.cross_resolutions", "must not be empty".to_owned()));
        }
        let (weights, resolutions) = (self.cross_weights.len(), self.cross_resolutions.len());
        if weights > 0 && weights != resolutions {
            let message = format!("has {weights} entries, `masks.cross_resolutions` has {resolutions}");
            return Err(("masks.cross_weights", message));
        }
        if weights > 0 && self.extractor != ExtractorChoice::Daam {
            return Err(("masks.cross_weights", "is for the extractor `daam`".to_owned()));
        }
        if self.cross_weights.iter().any(|weight| !(*weight > 0.0 && weight.is_finite())) {
            return Err(("masks.cross_weights", "has an entry that is not above 0".to_owned()));
        }
        Ok(())
    }
}
