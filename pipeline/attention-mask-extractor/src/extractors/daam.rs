use super::resolutions::averaged_cross;
use super::{Extractor, HeatMaps, Needs, NormaliseAt};
use crate::{Attention, ExtractError};

/// In the manner of DAAM: cross-attention brought to the latent's resolution, negative overshoot
/// cut off, averaged, and normalised only at the image's size. Its threshold is 0.4, for `low` and
/// `high` alike.
///
/// DAAM averages over layers and heads after interpolation (all resolutions but the latent's over
/// 8); here the mean within a resolution comes first, which is the same except where interpolation
/// undershoots in one head and not in another. DAAM's mean counts every head of every layer once:
/// with Stable Diffusion 1.x that is every resolution once (five layers of eight heads at 64, 32
/// and 16), with 2.x, which has 5, 10 and 20 heads there, weights of 1 to 2 to 4.
#[derive(Debug, Clone, PartialEq)]
pub struct Daam {
    /// Cross-attention resolutions, averaged.
    pub cross: Vec<u32>,
    /// How much each weighs; empty: all the same.
    pub weights: Vec<f32>,
    /// Resolution at which they are averaged (DAAM: the latent's).
    pub resolution: u32,
}

impl Extractor for Daam {
    fn describe(&self) -> String {
        let weights = if self.weights.is_empty() { String::new() } else { format!(" weights={:?}", self.weights) };
        format!("daam cross={:?}{weights} at={}", self.cross, self.resolution)
    }

    fn needs(&self) -> Needs {
        Needs { cross: self.cross.clone(), self_attention: None }
    }

    fn heat_maps(&self, attention: &Attention<'_>) -> Result<HeatMaps, ExtractError> {
        let classes = averaged_cross(attention, &self.cross, &self.weights, self.resolution, |map| {
            for value in map {
                *value = value.max(0.0);
            }
        })?;
        Ok(HeatMaps::single(self.resolution, classes, NormaliseAt::Image))
    }
}
