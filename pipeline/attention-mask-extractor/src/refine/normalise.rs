/// Whether a map has any contrast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// It has been brought to [0, 1].
    Full,
    /// All its values were equal; it is zero now.
    Flat,
}

/// The mean of several maps of `pixels` values, each over its own maximum (DiffuMask). A map whose
/// maximum is not above zero adds nothing: the published code divides by it.
pub fn mean_over_maxima(maps: impl Iterator<Item = Vec<f32>>, pixels: usize) -> Vec<f32> {
    let (mut sum, mut count) = (vec![0.0_f32; pixels], 0);
    for map in maps {
        count += 1;
        let maximum = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if maximum > 0.0 && maximum.is_finite() {
            for (sum, value) in sum.iter_mut().zip(map) {
                *sum += value / maximum;
            }
        }
    }
    for value in &mut sum {
        *value /= count.max(1) as f32;
    }
    sum
}

/// Brings a map to [0, 1] in place: minus its minimum, over the maximum of that.
///
/// A map without contrast becomes zero. The published code divides by zero there, and the NaN turns
/// every pixel of the picture into background, whatever the other classes say: a fault of the
/// arithmetic, not a rule worth keeping.
pub fn min_max(map: &mut [f32]) -> Spread {
    let (minimum, maximum) =
        map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let range = maximum - minimum;
    // Not `range <= 0`: a range that is not a number has no contrast either.
    if range > 0.0 && range.is_finite() {
        for value in map {
            *value = (*value - minimum) / range;
        }
        Spread::Full
    } else {
        map.fill(0.0);
        Spread::Flat
    }
}
