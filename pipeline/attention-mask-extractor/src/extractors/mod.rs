//! Ways from attention to heat maps, one file each behind one trait.
//!
//! To add one: a file here that implements [`Extractor`], and a line in [`SHIPPED`] and [`by_name`]. Normalisation, interpolation,
//! thresholds and quality signals are the same for all and live outside.

mod cross_only;
mod daam;
mod resolutions;
mod self_refined;

pub use cross_only::CrossOnly;
pub use daam::Daam;
pub use self_refined::SelfRefined;

use crate::{Attention, ExtractError};

/// Names that `masks.extractor` can have.
pub const SHIPPED: [&str; 4] = ["self-refined", "dataset-diffusion", "cross-only", "daam"];

/// When heat maps are brought to [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormaliseAt {
    /// At their own resolution; interpolation may then leave the range (Dataset Diffusion).
    Map,
    /// After interpolation to the image (DAAM).
    Image,
}

/// One heat map per class, not yet normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMaps {
    /// Side of the maps.
    pub resolution: u32,
    /// `resolution²` values a class.
    pub classes: Vec<Vec<f32>>,
    /// When they are normalised.
    pub normalise: NormaliseAt,
}

/// The maps an extractor reads; a dataset that lacks one of them cannot be extracted with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Sides of cross-attention maps.
    pub cross: Vec<u32>,
    /// Side of the self-attention map.
    pub self_attention: Option<u32>,
}

/// A way from attention to heat maps. Pure: the same attention gives the same maps.
pub trait Extractor: Send + Sync {
    /// What stands in the dataset beside the masks: name and settings.
    fn describe(&self) -> String;
    /// The maps it reads.
    fn needs(&self) -> Needs;
    /// One map per class.
    fn heat_maps(&self, attention: &Attention<'_>) -> Result<HeatMaps, ExtractError>;
}

/// The maps and exponent of a spec; an extractor takes what it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// `masks.extractor`, one of [`SHIPPED`].
    pub name: String,
    /// `masks.cross_resolutions`.
    pub cross: Vec<u32>,
    /// `masks.self_resolution`: the side of the self-attention map, to which cross-attention is brought.
    pub working: u32,
    /// `masks.power`: exponent of self-attention.
    pub power: u32,
}

/// The extractor a spec asks for.
pub fn by_name(choice: &Choice) -> Result<Box<dyn Extractor>, ExtractError> {
    let wrong = |field, problem: String| Err(ExtractError::Settings { field, problem });
    if choice.name == "dataset-diffusion" {
        return Ok(Box::new(SelfRefined::dataset_diffusion()));
    }
    if choice.cross.is_empty() || choice.cross.contains(&0) {
        return wrong("cross_resolutions", "needs at least one resolution, none of them 0".into());
    }
    if choice.working == 0 {
        return wrong("self_resolution", "must not be 0".into());
    }
    let cross = choice.cross.clone();
    match choice.name.as_str() {
        "self-refined" => Ok(Box::new(SelfRefined { cross, resolution: choice.working, power: choice.power })),
        "cross-only" => Ok(Box::new(CrossOnly { cross, resolution: choice.working })),
        "daam" => Ok(Box::new(Daam { cross, resolution: choice.working })),
        other => wrong("extractor", format!("`{other}` is not one of {SHIPPED:?}")),
    }
}
