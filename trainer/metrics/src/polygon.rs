//! Outlines to pixels, with the rounding of COCO's tools: outlines are drawn on a grid five times
//! as fine, and the pixel columns they cross give the runs.

use crate::{Mask, MetricsError, Rle};

const FINE: f64 = 5.0;

/// Run lengths (COCO order, first outside) of the polygon `[x1, y1, x2, y2, …]` in a `width` ×
/// `height` picture.
pub fn polygon_runs(polygon: &[f64], width: usize, height: usize) -> Result<Vec<u32>, MetricsError> {
    if !polygon.len().is_multiple_of(2) {
        return Err(MetricsError::Polygon { problem: "has an odd number of coordinates" });
    }
    // COCO's tools take four numbers for a box and fewer for nothing: neither is an outline.
    if polygon.len() < 6 {
        return Err(MetricsError::Polygon { problem: "has fewer than three points" });
    }
    if polygon.iter().any(|value| !value.is_finite() || value.abs() > 1e8) {
        return Err(MetricsError::Polygon { problem: "has a coordinate that is not a usable number" });
    }
    let outline = fine_outline(polygon);
    let mut crossings: Vec<u32> =
        outline.windows(2).filter_map(|pair| crossing(pair[0], pair[1], width, height)).collect();
    crossings.push((width * height) as u32);
    crossings.sort_unstable();
    Ok(runs_between(&crossings))
}

/// The mask of one polygon.
pub(crate) fn polygon_mask(polygon: &[f64], width: usize, height: usize) -> Result<Mask, MetricsError> {
    Ok(Rle::new(polygon_runs(polygon, width, height)?, width, height)?.decode())
}

/// All points of the closed outline on the fine grid, edge after edge.
fn fine_outline(polygon: &[f64]) -> Vec<(i64, i64)> {
    let mut corners: Vec<(i64, i64)> =
        polygon.chunks_exact(2).map(|p| ((FINE * p[0] + 0.5) as i64, (FINE * p[1] + 0.5) as i64)).collect();
    corners.extend(corners.first().copied());
    let mut points = Vec::new();
    for edge in corners.windows(2) {
        push_edge(&mut points, edge[0], edge[1]);
    }
    points
}

fn push_edge(points: &mut Vec<(i64, i64)>, from: (i64, i64), to: (i64, i64)) {
    let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
    let steps = dx.max(dy);
    let flat = dx >= dy;
    // Points are computed from the end with the smaller main coordinate, so that an edge gives the
    // same pixels in both directions; they are listed in the direction of the outline.
    let reversed = if flat { from.0 > to.0 } else { from.1 > to.1 };
    let (start, end) = if reversed { (to, from) } else { (from, to) };
    let (rise, run) = if flat { (end.1 - start.1, dx) } else { (end.0 - start.0, dy) };
    let slope = if run == 0 { 0.0 } else { rise as f64 / run as f64 };
    for step in 0..=steps {
        let t = if reversed { steps - step } else { step };
        points.push(if flat {
            (start.0 + t, (start.1 as f64 + slope * t as f64 + 0.5) as i64)
        } else {
            ((start.0 as f64 + slope * t as f64 + 0.5) as i64, start.1 + t)
        });
    }
}

/// Where the outline enters the next pixel column: the position in column order, if it lies inside
/// the picture.
fn crossing(previous: (i64, i64), point: (i64, i64), width: usize, height: usize) -> Option<u32> {
    if point.0 == previous.0 {
        return None;
    }
    let x = if point.0 < previous.0 { point.0 } else { point.0 - 1 };
    let x = (x as f64 + 0.5) / FINE - 0.5;
    if x.floor() != x || x < 0.0 || x > width as f64 - 1.0 {
        return None;
    }
    let y = (point.1.min(previous.1) as f64 + 0.5) / FINE - 0.5;
    let y = y.clamp(0.0, height as f64).ceil();
    Some((x as usize * height + y as usize) as u32)
}

/// Runs between sorted crossings; two crossings at one place cancel.
fn runs_between(crossings: &[u32]) -> Vec<u32> {
    let mut before = 0;
    let mut lengths = crossings.iter().map(|&at| {
        let length = at - before;
        before = at;
        length
    });
    let mut runs: Vec<u32> = lengths.next().into_iter().collect();
    while let Some(length) = lengths.next() {
        if length > 0 {
            runs.push(length);
        } else if let (Some(following), Some(last)) = (lengths.next(), runs.last_mut()) {
            *last += following;
        }
    }
    runs
}
