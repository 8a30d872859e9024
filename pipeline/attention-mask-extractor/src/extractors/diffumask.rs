use super::{Extractor, HeatMaps, Needs, NormaliseAt, Scale};
use crate::{Attention, ExtractError};

/// In the manner of DiffuMask: cross-attention of several resolutions (published: 16, 32 and 64),
/// each brought to the image's size and divided by its own maximum, then averaged.
///
/// What DiffuMask does after that needs a network trained for it: masks cut at thresholds from 0.35
/// to 0.54 pass a dense CRF, and the one that agrees best with AffinityNet's mask is kept. Neither
/// the CRF nor AffinityNet nor the pruning by cross-validation is part of this; the threshold is
/// chosen from the map itself (`threshold = "adaptive"`, [`crate::refine::Sweep`]). Nor are the
/// published code's exceptions for four classes of VOC kept (sofa, train and tvmonitor from 8²
/// alone, diningtable from 16²). A class of several tokens is averaged before the maxima are
/// taken, there after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffuMask {
    /// Cross-attention resolutions.
    pub cross: Vec<u32>,
}

impl Extractor for DiffuMask {
    fn describe(&self) -> String {
        format!("diffumask cross={:?}", self.cross)
    }

    fn needs(&self) -> Needs {
        Needs { cross: self.cross.clone(), self_attention: None }
    }

    fn heat_maps(&self, attention: &Attention<'_>) -> Result<HeatMaps, ExtractError> {
        let scales = self
            .cross
            .iter()
            .map(|&resolution| {
                let positions = resolution as usize * resolution as usize;
                let maps = attention.cross(resolution)?.chunks_exact(positions);
                Ok(Scale { resolution, classes: maps.map(<[f32]>::to_vec).collect() })
            })
            .collect::<Result<_, ExtractError>>()?;
        Ok(HeatMaps { scales, normalise: NormaliseAt::EachScale })
    }
}
