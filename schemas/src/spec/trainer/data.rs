//! `[trainer.data]`: what is trained on, and what happens to samples on their way in.

use serde::{Deserialize, Serialize};

use super::Switch;
use crate::spec::ImagesSpec;

/// Where samples come from and what happens to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSpec {
    /// Generated images with pseudo-masks, or real images.
    pub source: DataSource,
    /// Probability that a sample is mirrored, its mask with it.
    pub flip: f64,
    /// Whether the frozen features are computed once and kept in a file.
    pub cache: Switch,
    /// Real images: where the square is cut after the shortest side was brought to its size.
    pub crop: Crop,
    /// Real images: how they are resized, antialiased as Pillow does it.
    pub resampling: TrainingResampling,
    /// `[trainer.data.images]`: the real images.
    pub images: ImagesSpec,
}

impl Default for DataSpec {
    fn default() -> Self {
        Self {
            source: DataSource::Generated,
            flip: 0.5,
            cache: Switch::On,
            crop: Crop::Centre,
            resampling: TrainingResampling::Bilinear,
            images: ImagesSpec::default(),
        }
    }
}

/// What a run is trained on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataSource {
    /// Generated images joined with their pseudo-masks (GLASS).
    #[default]
    Generated,
    /// Real images (every method it is compared with).
    Images,
}

/// Where the square of a real image is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// In the middle (Latent Slot Diffusion; SPOT on COCO).
    #[default]
    Centre,
    /// Anywhere, drawn anew at every visit (SPOT on Pascal VOC); features cannot be cached then.
    Random,
}

/// How a training picture is resized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingResampling {
    /// Bilinear (Latent Slot Diffusion, SPOT).
    #[default]
    Bilinear,
    /// Bicubic (DINOSAUR in OCLF).
    Bicubic,
}
