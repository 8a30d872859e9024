//! Localisation by boxes, for data that have no masks (OCLF, `ocl/metrics/bbox.py`: `BboxCorLocMetric`,
//! `BboxRecallMetric`).

use crate::{DISCOVERY_THRESHOLD, IGNORE, LabelMap, OVERLAP};

/// Left, top, right and bottom in pixels.
pub type Corners = [f64; 4];

/// How well the boxes around segments meet annotated boxes: each takes the segment that overlaps it most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxScores {
    /// Mean IoU of the annotated boxes with their segments' boxes.
    pub best_overlap: f64,
    /// Share of the annotated boxes whose IoU is above a half.
    pub recovery: f64,
    /// 1 where there is one, 0 where there is none.
    pub corloc: f64,
}

/// Scores the segments of a map; `None` where no box is annotated. Label 0 is a segment like any other.
pub fn box_scores(annotated: &[Corners], segments: &LabelMap) -> Option<BoxScores> {
    if annotated.is_empty() {
        return None;
    }
    let found = around(segments);
    let best = |truth: &Corners| found.iter().map(|found| overlap(truth, found)).fold(0.0, f64::max);
    let best: Vec<f64> = annotated.iter().map(best).collect();
    let recovered = best.iter().filter(|iou| **iou > DISCOVERY_THRESHOLD).count();
    Some(BoxScores {
        best_overlap: best.iter().sum::<f64>() / best.len() as f64,
        recovery: recovered as f64 / best.len() as f64,
        corloc: f64::from(u8::from(recovered > 0)),
    })
}

/// The box around every segment, from its first to its last row and column as `masks_to_bboxes` has it: the last pixel
/// adds nothing to the side.
fn around(segments: &LabelMap) -> Vec<Corners> {
    let mut boxes: std::collections::BTreeMap<u16, Corners> = std::collections::BTreeMap::new();
    let width = segments.width();
    for (index, &label) in segments.labels().iter().enumerate() {
        if label == IGNORE || label == OVERLAP {
            continue;
        }
        let (x, y) = ((index % width) as f64, (index / width) as f64);
        let corners = boxes.entry(label).or_insert([x, y, x, y]);
        *corners = [corners[0].min(x), corners[1].min(y), corners[2].max(x), corners[3].max(y)];
    }
    boxes.into_values().collect()
}

/// Intersection over union of two boxes; 0 where neither has an area.
fn overlap(a: &Corners, b: &Corners) -> f64 {
    let area = |b: &Corners| (b[2] - b[0]).max(0.0) * (b[3] - b[1]).max(0.0);
    let shared = area(&[a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let union = area(a) + area(b) - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}
