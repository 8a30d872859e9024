use crate::refine::{Bicubic, Plane};
use crate::{Attention, ExtractError};

/// Cross-attention of several resolutions brought to one and averaged, `resolution²` values a
/// class.
///
/// Each stored map is a mean within its resolution already; every resolution then weighs the same
/// (GLASS: maps "across multiple timesteps and resolutions are extracted and averaged"), or as
/// `weights` say, one a resolution. `after_resize` sees each map before it is added.
pub(super) fn averaged_cross(
    attention: &Attention<'_>,
    cross: &[u32],
    weights: &[f32],
    resolution: u32,
    after_resize: impl Fn(&mut [f32]),
) -> Result<Vec<Vec<f32>>, ExtractError> {
    let target = Plane::square(resolution as usize);
    let mut sums = vec![vec![0.0_f32; target.len()]; attention.classes()];
    for (index, &side) in cross.iter().enumerate() {
        let weight = weights.get(index).copied().unwrap_or(1.0);
        let source = Plane::square(side as usize);
        let resize = Bicubic::new(source, target);
        let maps = attention.cross(side)?.chunks_exact(source.len());
        for (sum, map) in sums.iter_mut().zip(maps) {
            let mut map = resize.resize(map);
            after_resize(&mut map);
            for (sum, value) in sum.iter_mut().zip(map) {
                *sum += weight * value;
            }
        }
    }
    let share = if weights.is_empty() { cross.len() as f32 } else { weights.iter().sum() };
    for value in sums.iter_mut().flatten() {
        *value /= share;
    }
    Ok(sums)
}
