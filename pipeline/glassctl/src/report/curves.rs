//! Curves of a training run as SVG.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::html::escape;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 170.0;
const MARGIN: f64 = 34.0;

/// Reads `metrics.jsonl`: every number of every line that has a step, by name.
pub(crate) fn series(lines: &str) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for line in lines.lines() {
        let Ok(serde_json::Value::Object(line)) = serde_json::from_str(line) else { continue };
        let Some(step) = line.get("step").and_then(serde_json::Value::as_f64) else { continue };
        for (name, value) in &line {
            if let Some(value) = value.as_f64().filter(|_| name != "step") {
                series.entry(name.clone()).or_default().push((step, value));
            }
        }
    }
    series
}

/// Colours of several curves in one drawing; they repeat.
pub(crate) const COLOURS: [&str; 8] =
    ["#3b78e7", "#e04b3f", "#2f9e5b", "#e8a21c", "#8a4fc4", "#1aa5b8", "#d9569b", "#86694a"];

/// A curve: step and value.
pub(crate) type Points = Vec<(f64, f64)>;

/// Curves by the drawing they belong to: those called `group/NUMBER` share one (a slot each).
pub(crate) fn grouped(series: BTreeMap<String, Points>) -> BTreeMap<String, Vec<Points>> {
    let mut drawings: BTreeMap<String, Vec<Points>> = BTreeMap::new();
    for (name, points) in series {
        let drawing = match name.rsplit_once('/') {
            Some((group, number)) if number.parse::<u32>().is_ok() => group.to_owned(),
            _ => name,
        };
        drawings.entry(drawing).or_default().push(points);
    }
    drawings
}

/// Curves on common axes, the ends labelled.
pub(crate) fn draw(name: &str, curves: &[Points]) -> String {
    let bounds = |pick: fn(&(f64, f64)) -> f64| {
        let values = curves.iter().flatten().map(pick);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (bounds(|p| p.0), bounds(|p| p.1));
    let place = |value: f64, (low, high): (f64, f64), length: f64| {
        let range = if high > low { high - low } else { 1.0 };
        MARGIN + (value - low) / range * (length - 2.0 * MARGIN)
    };
    let mut paths = String::new();
    for (points, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        paths.push_str("<path d=\"");
        for (i, (x, y)) in points.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            let (px, py) = (place(*x, (x0, x1), WIDTH), HEIGHT - place(*y, (y0, y1), HEIGHT));
            let _ = write!(paths, "{command}{px:.1} {py:.1}");
        }
        let _ = write!(paths, "\" fill=none stroke={colour} stroke-width=1.6 />");
    }
    let label =
        |x: f64, y: f64, text: String| format!("<text x={x} y={y} font-size=11 fill=currentColor>{text}</text>");
    format!(
        "<div class=curve><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{name}\">\
         {paths}{}{}{}{}{}</svg></div>",
        label(MARGIN, 18.0, escape(name)),
        label(2.0, MARGIN + 4.0, number(y1)),
        label(2.0, HEIGHT - MARGIN + 4.0, number(y0)),
        label(MARGIN, HEIGHT - 12.0, format!("step {x0}")),
        label(WIDTH - 80.0, HEIGHT - 12.0, format!("step {x1}")),
        name = escape(name),
    )
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.01 => format!("{value:.0e}"),
        size if size < 10.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{draw, grouped, series};

    #[test]
    fn numbers_are_collected_by_name_and_broken_lines_passed_over() {
        let text = "{\"step\":1,\"loss\":2.0,\"phase\":\"1\"}\nnot json\n{\"step\":2,\"loss\":1.0}\n";
        let series = series(text);
        assert_eq!(series["loss"], [(1.0, 2.0), (2.0, 1.0)]);
        assert_eq!(series.len(), 1);
    }

    #[test]
    fn a_flat_curve_is_drawn_without_infinities() {
        let markup = draw("x", &[vec![(1.0, 0.0), (2.0, 0.0)]]);
        assert!(!markup.contains("NaN") && !markup.contains("inf"), "{markup}");
    }

    #[test]
    fn numbered_curves_share_a_drawing() {
        let text = "{\"step\":1,\"slots/share/00\":0.5,\"slots/share/01\":0.5,\"slots/used\":2}\n";
        let drawings = grouped(series(text));
        assert_eq!(drawings["slots/share"].len(), 2);
        assert_eq!(drawings["slots/used"].len(), 1);
        assert_eq!(draw("slots/share", &drawings["slots/share"]).matches("<path").count(), 2);
    }
}
