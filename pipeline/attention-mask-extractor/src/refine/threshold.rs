use super::Bicubic;

/// Mask value where no class reaches the lower threshold.
pub const GROUND: u8 = 0;
/// Mask value where the strongest class lies between the thresholds.
pub const UNCERTAIN: u8 = 255;
/// Highest class id a mask can hold.
pub const MAX_CLASS_ID: u32 = 254;

/// The thresholds of a mask: ground below `low`, uncertain from `low` to below `high`, a class from
/// `high` on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower threshold (Dataset Diffusion: 0.5).
    pub low: f32,
    /// Upper threshold (Dataset Diffusion: 0.6).
    pub high: f32,
}

/// Labels of the target pixels from one heat map per class, `maps` = `[classes, source]`, already
/// normalised.
///
/// Each map is interpolated to the target size, the strongest class of a pixel (the first of
/// equals) is compared with the thresholds. Works row by row, so that no full-size map is ever
/// stored.
pub fn label_pixels(maps: &[Vec<f32>], ids: &[u8], resize: &Bicubic, interval: Interval) -> Vec<u8> {
    let width = resize.target().width;
    let wide: Vec<Vec<f32>> = maps.iter().map(|map| resize.widen(map)).collect();
    let mut labels = vec![GROUND; resize.target().len()];
    let mut best = vec![0.0_f32; width];
    let mut best_id = vec![GROUND; width];
    let mut row = vec![0.0_f32; width];
    for (y, labels) in labels.chunks_exact_mut(width).enumerate() {
        best.fill(f32::NEG_INFINITY);
        for (wide, &id) in wide.iter().zip(ids) {
            resize.blend_row(wide, y, &mut row);
            for ((best, best_id), &value) in best.iter_mut().zip(&mut best_id).zip(&row) {
                let stronger = value > *best;
                *best = if stronger { value } else { *best };
                *best_id = if stronger { id } else { *best_id };
            }
        }
        for ((label, &value), &id) in labels.iter_mut().zip(&best).zip(&best_id) {
            let sure = if value >= interval.high { id } else { UNCERTAIN };
            *label = if value >= interval.low { sure } else { GROUND };
        }
    }
    labels
}
