use super::resolutions::averaged_cross;
use super::{Extractor, HeatMaps, Needs, NormaliseAt};
use crate::refine::propagate;
use crate::{Attention, ExtractError};

/// Cross-attention spread along self-attention, `A^power · cross`: the way of Dataset Diffusion,
/// which GLASS uses (cross-attention 16², self-attention 32², power 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfRefined {
    /// Cross-attention resolutions, averaged.
    pub cross: Vec<u32>,
    /// Self-attention resolution.
    pub resolution: u32,
    /// Exponent τ of self-attention.
    pub power: u32,
}

impl Extractor for SelfRefined {
    fn describe(&self) -> String {
        format!("self-refined cross={:?} self={} power={}", self.cross, self.resolution, self.power)
    }

    fn needs(&self) -> Needs {
        let self_attention = (self.power > 0).then_some(self.resolution);
        Needs { cross: self.cross.clone(), self_attention }
    }

    fn heat_maps(&self, attention: &Attention<'_>) -> Result<HeatMaps, ExtractError> {
        let mut classes = averaged_cross(attention, &self.cross, &[], self.resolution, |_| {})?;
        if self.power > 0 {
            let matrix = attention.self_attention(self.resolution)?;
            let positions = self.resolution as usize * self.resolution as usize;
            let refined = propagate(matrix, &classes.concat(), positions, self.power);
            classes = refined.chunks_exact(positions).map(<[f32]>::to_vec).collect();
        }
        Ok(HeatMaps::single(self.resolution, classes, NormaliseAt::Map))
    }
}
