use super::resolutions::averaged_cross;
use super::{Extractor, HeatMaps, Needs, NormaliseAt};
use crate::{Attention, ExtractError};

/// In the manner of DAAM: cross-attention brought to the latent's resolution, negative overshoot
/// cut off, averaged, and normalised only at the image's size. Its threshold is 0.4, for `low` and
/// `high` alike.
///
/// DAAM averages over layers and heads after interpolation; here the mean within a resolution comes
/// first, which is the same except where interpolation undershoots in one head and not in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daam {
    /// Cross-attention resolutions, averaged.
    pub cross: Vec<u32>,
    /// Resolution at which they are averaged (DAAM: the latent's).
    pub resolution: u32,
}

impl Extractor for Daam {
    fn describe(&self) -> String {
        format!("daam cross={:?} at={}", self.cross, self.resolution)
    }

    fn needs(&self) -> Needs {
        Needs { cross: self.cross.clone(), self_attention: None }
    }

    fn heat_maps(&self, attention: &Attention<'_>) -> Result<HeatMaps, ExtractError> {
        let classes = averaged_cross(attention, &self.cross, self.resolution, |map| {
            for value in map {
                *value = value.max(0.0);
            }
        })?;
        Ok(HeatMaps { resolution: self.resolution, classes, normalise: NormaliseAt::Image })
    }
}
