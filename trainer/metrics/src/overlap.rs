use crate::{BACKGROUND, Contingency, EmptyLabels, MetricsError, Objective, Objects, assign};

/// An object counts as found where its best overlap exceeds this (strictly).
pub const DISCOVERY_THRESHOLD: f64 = 0.5;

/// What overlap says about one picture and one set of objects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverlapScores {
    /// Objects that the means are taken over.
    pub objects: usize,
    /// Mean IoU of objects with the segment that a one-to-one assignment gives them; 0 for those
    /// without.
    pub miou: f64,
    /// Mean over objects of the best IoU with any segment.
    pub mbo: f64,
    /// Share of objects whose best IoU exceeds [`DISCOVERY_THRESHOLD`].
    pub recovery: f64,
    /// 1 where any object's best IoU exceeds [`DISCOVERY_THRESHOLD`], else 0.
    pub corloc: f64,
}

/// mIoU, mBO, object recovery and CorLoc of one picture; `None` where there is no object to score,
/// so that the picture takes no part in the mean over pictures.
pub fn overlap_scores(
    table: &Contingency,
    objects: Objects,
    empty: EmptyLabels,
) -> Result<Option<OverlapScores>, MetricsError> {
    let iou = table.iou(objects);
    let count = object_count(table, objects, empty, iou.rows);
    if count == 0 {
        return Ok(None);
    }
    let matched: f64 = assign(&iou.values, iou.rows, iou.columns, Objective::Maximise)?
        .into_iter()
        .enumerate()
        .filter_map(|(row, column)| column.map(|column| iou.row(row)[column]))
        .sum();
    let best = iou.best();
    let found = best.iter().filter(|&&value| value > DISCOVERY_THRESHOLD).count();
    Ok(Some(OverlapScores {
        objects: count,
        miou: matched / count as f64,
        mbo: best.iter().sum::<f64>() / count as f64,
        recovery: found as f64 / count as f64,
        corloc: if found > 0 { 1.0 } else { 0.0 },
    }))
}

fn object_count(table: &Contingency, objects: Objects, empty: EmptyLabels, present: usize) -> usize {
    let highest = table.truth().last().copied().unwrap_or(BACKGROUND);
    match (empty, objects) {
        (EmptyLabels::Skip, _) => present,
        (EmptyLabels::Count, _) if table.truth().is_empty() => 0,
        (EmptyLabels::Count, Objects::WithBackground) => usize::from(highest) + 1,
        (EmptyLabels::Count, Objects::WithoutBackground) => usize::from(highest),
    }
}
