use super::GROUND;

/// Distance of two thresholds that are tried (DiffuMask: 0.35, 0.36 … 0.54).
const STEP: f32 = 0.01;

/// The thresholds among which one is chosen for every map.
///
/// The rule is Otsu's: of all thresholds tried, the one that makes the variance between the pixels
/// below and those from it on largest, `n₀ n₁ (μ₀ − μ₁)²`; the lowest of equals. DiffuMask tries
/// the same thresholds and keeps the one whose mask agrees best with AffinityNet's; without that
/// network the map has nothing but itself to go by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sweep {
    /// The lowest threshold (DiffuMask: 0.35).
    pub low: f32,
    /// The highest (DiffuMask: 0.54).
    pub high: f32,
}

impl Sweep {
    /// The thresholds, ascending.
    pub fn thresholds(self) -> Vec<f32> {
        let steps = ((self.high - self.low) / STEP).round().max(0.0) as u32;
        (0..=steps).map(|step| self.low + STEP * step as f32).collect()
    }

    /// The threshold of one map.
    pub fn choose(self, map: &[f32]) -> f32 {
        let thresholds = self.thresholds();
        // Pixels and their sum between neighbouring thresholds; entry 0 is below the first.
        let mut bins = vec![(0_u64, 0.0_f64); thresholds.len() + 1];
        for &value in map {
            let bin = &mut bins[thresholds.partition_point(|&threshold| value >= threshold)];
            *bin = (bin.0 + 1, bin.1 + f64::from(value));
        }
        let all = bins.iter().fold((0, 0.0), |all, bin| (all.0 + bin.0, all.1 + bin.1));
        let (mut below, mut best) = ((0, 0.0), (self.low, f64::NEG_INFINITY));
        for (&threshold, bin) in thresholds.iter().zip(&bins) {
            below = (below.0 + bin.0, below.1 + bin.1);
            let variance = between(below, (all.0 - below.0, all.1 - below.1));
            if variance > best.1 {
                best = (threshold, variance);
            }
        }
        best.0
    }
}

/// `n₀ n₁ (μ₀ − μ₁)²` of two groups given as (count, sum); 0 where one is empty.
fn between(low: (u64, f64), high: (u64, f64)) -> f64 {
    if low.0 == 0 || high.0 == 0 {
        return 0.0;
    }
    let (few, many) = (low.0 as f64, high.0 as f64);
    few * many * (low.1 / few - high.1 / many).powi(2)
}

/// Labels of the pixels of `maps`, `[classes, pixels]`: the strongest class of those that reach the
/// threshold of their own map, the first of equals; ground where none does. No pixel is uncertain.
pub fn label_adaptively(maps: &[Vec<f32>], ids: &[u8], sweep: Sweep) -> Vec<u8> {
    let mut labels = vec![GROUND; maps.first().map_or(0, Vec::len)];
    let mut best = vec![f32::NEG_INFINITY; labels.len()];
    for (map, &id) in maps.iter().zip(ids) {
        let threshold = sweep.choose(map);
        for ((label, best), &value) in labels.iter_mut().zip(&mut best).zip(map) {
            if value >= threshold && value > *best {
                (*label, *best) = (id, value);
            }
        }
    }
    labels
}
