//! Ways from attention to heat maps, one file each behind one trait.
//!
//! To add one: a file here that implements [`Extractor`], a name in the spec's `ExtractorChoice`
//! and a line in [`from_spec`]. Normalisation, interpolation, thresholds and quality signals are
//! the same for all and live outside.

mod cross_only;
mod daam;
mod diffumask;
mod resolutions;
mod self_refined;

pub use cross_only::CrossOnly;
pub use daam::Daam;
pub use diffumask::DiffuMask;
pub use self_refined::SelfRefined;

use glass_schemas::spec::{ExtractorChoice, MasksSpec};

use crate::{Attention, ExtractError};

/// When heat maps are brought to [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormaliseAt {
    /// At their own resolution; interpolation may then leave the range (Dataset Diffusion).
    Map,
    /// After interpolation to the image, to [0, 1] (DAAM).
    Image,
    /// After interpolation to the image, every scale over its own maximum; then the scales are
    /// averaged (DiffuMask).
    EachScale,
}

/// Heat maps of one resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Side of the maps.
    pub resolution: u32,
    /// `resolution²` values a class.
    pub classes: Vec<Vec<f32>>,
}

/// One heat map per class and scale, not yet normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMaps {
    /// At least one; more only with [`NormaliseAt::EachScale`].
    pub scales: Vec<Scale>,
    /// When they are normalised.
    pub normalise: NormaliseAt,
}

impl HeatMaps {
    /// Maps of one resolution.
    pub fn single(resolution: u32, classes: Vec<Vec<f32>>, normalise: NormaliseAt) -> Self {
        Self { scales: vec![Scale { resolution, classes }], normalise }
    }

    /// The maps of the finest scale: what peaks and entropies are taken from.
    pub fn finest(&self) -> &[Vec<f32>] {
        let finest = self.scales.iter().max_by_key(|scale| scale.resolution);
        finest.map_or(&[], |scale| &scale.classes)
    }
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

/// The extractor a spec asks for. The spec's defaults are Dataset Diffusion's published settings.
///
/// # Errors
/// [`ExtractError::Settings`] for resolutions that no map can have.
pub fn from_spec(spec: &MasksSpec) -> Result<Box<dyn Extractor>, ExtractError> {
    let wrong = |field, problem: &str| Err(ExtractError::Settings { field, problem: problem.into() });
    if spec.cross_resolutions.is_empty() || spec.cross_resolutions.contains(&0) {
        return wrong("cross_resolutions", "needs at least one resolution, none of them 0");
    }
    if spec.self_resolution == 0 {
        return wrong("self_resolution", "must not be 0");
    }
    let (cross, resolution) = (spec.cross_resolutions.clone(), spec.self_resolution);
    Ok(match spec.extractor {
        ExtractorChoice::SelfRefined => Box::new(SelfRefined { cross, resolution, power: spec.power }),
        ExtractorChoice::CrossOnly => Box::new(CrossOnly { cross, resolution }),
        ExtractorChoice::Daam => Box::new(Daam { cross, weights: spec.cross_weights.clone(), resolution }),
        ExtractorChoice::DiffuMask => Box::new(DiffuMask { cross }),
    })
}
