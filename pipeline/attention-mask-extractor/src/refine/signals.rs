//! Numbers that tell a class that was drawn from one that was only asked for.

/// The highest value of a map before it is normalised: min-max lifts every class to 1, drawn or
/// not.
pub fn peak(map: &[f32]) -> f32 {
    map.iter().copied().fold(0.0, f32::max)
}

/// Entropy of a map read as a distribution, over that of the uniform one: 0 for a single point, 1
/// for an even map. Negative values count as zero; a map without a positive value is even.
pub fn normalised_entropy(map: &[f32]) -> f32 {
    let total: f64 = map.iter().map(|&value| f64::from(value.max(0.0))).sum();
    if map.len() < 2 || total <= 0.0 {
        return 1.0;
    }
    let entropy: f64 = map
        .iter()
        .map(|&value| f64::from(value.max(0.0)) / total)
        .filter(|&share| share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    (entropy / (map.len() as f64).ln()).clamp(0.0, 1.0) as f32
}

/// Share of pixels with the label.
pub fn area_share(labels: &[u8], label: u8) -> f32 {
    let count = labels.iter().filter(|&&other| other == label).count();
    if labels.is_empty() { 0.0 } else { (count as f64 / labels.len() as f64) as f32 }
}

/// Intersection over union of one label's pixels in two masks of the same picture; 0 where neither
/// has any: two masks that agree on nothing being there are no evidence that something is.
pub fn intersection_over_union(a: &[u8], b: &[u8], label: u8) -> f32 {
    let (mut shared, mut either) = (0_u64, 0_u64);
    for (&a, &b) in a.iter().zip(b) {
        shared += u64::from(a == label && b == label);
        either += u64::from(a == label || b == label);
    }
    if either == 0 { 0.0 } else { (shared as f64 / either as f64) as f32 }
}
