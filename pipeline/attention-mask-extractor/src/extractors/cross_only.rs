use super::resolutions::averaged_cross;
use super::{Extractor, HeatMaps, Needs, NormaliseAt};
use crate::{Attention, ExtractError};

/// Cross-attention as it is: what self-attention adds shows against this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossOnly {
    /// Cross-attention resolutions, averaged.
    pub cross: Vec<u32>,
    /// Resolution at which they are averaged.
    pub resolution: u32,
}

impl Extractor for CrossOnly {
    fn describe(&self) -> String {
        format!("cross-only cross={:?} at={}", self.cross, self.resolution)
    }

    fn needs(&self) -> Needs {
        Needs { cross: self.cross.clone(), self_attention: None }
    }

    fn heat_maps(&self, attention: &Attention<'_>) -> Result<HeatMaps, ExtractError> {
        let classes = averaged_cross(attention, &self.cross, &[], self.resolution, |_| {})?;
        Ok(HeatMaps::single(self.resolution, classes, NormaliseAt::Map))
    }
}
