//! Differences with their intervals as SVG.

use std::fmt::Write;

use crate::benchmark::intervals::Difference;
use crate::report::html::escape;

const WIDTH: f64 = 900.0;
/// Where the axis begins; left of it stand the names.
const LEFT: f64 = 380.0;
const RIGHT: f64 = 870.0;
const LINE: f64 = 26.0;

/// One line a method; right of zero is better than the reference.
pub(super) fn draw(metric: &str, bars: &[(&str, Difference)]) -> String {
    let ends = bars.iter().flat_map(|(_, bar)| bar.interval);
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(low, high), end| (low.min(end), high.max(end)));
    let range = if high > low { high - low } else { 1.0 };
    let place = |value: f64| LEFT + (value - low) / range * (RIGHT - LEFT);
    let height = LINE * (bars.len() as f64 + 2.0);
    let mut svg = format!(
        "<svg class=forest viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"differences in {}\">\
         <g font-size=13 fill=currentColor stroke-width=2>\
         <text x={LEFT} y=18>difference in {}, 95 % interval</text>\
         <path d=\"M{zero:.1} {LINE}V{bottom:.1}\" stroke=currentColor stroke-dasharray=\"3 3\" stroke-width=1 />",
        escape(metric),
        escape(metric),
        zero = place(0.0),
        bottom = height - LINE + 4.0,
    );
    for (at, (name, bar)) in bars.iter().enumerate() {
        let y = LINE * (at as f64 + 1.5);
        let [from, to] = bar.interval.map(place);
        let colour = match bar.interval {
            [_, high] if high < 0.0 => "#c2483d",
            [low, _] if low > 0.0 => "#2b9d5a",
            _ => "#888888",
        };
        let _ = write!(
            svg,
            "<text x={end} y={text:.1} text-anchor=end>{name}</text>\
             <path d=\"M{from:.1} {y:.1}H{to:.1}\" stroke=\"{colour}\" />\
             <circle cx={centre:.1} cy={y:.1} r=4 fill=\"{colour}\" />",
            end = LEFT - 12.0,
            text = y + 4.0,
            name = escape(name),
            centre = place(bar.difference),
        );
    }
    for value in [low, 0.0, high] {
        let _ = write!(
            svg,
            "<text x={x:.1} y={y:.1} text-anchor=middle font-size=11>{value:+.2}</text>",
            x = place(value),
            y = height - 8.0,
        );
    }
    svg.push_str("</g></svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_lie_on_the_side_of_their_sign_and_nothing_is_infinite() {
        let bar = |difference, interval| Difference {
            protocol: "p".into(),
            metric: "m".into(),
            images: 1,
            difference,
            interval,
        };
        let svg = draw("m", &[("<a>", bar(-0.2, [-0.3, -0.1])), ("b", bar(0.0, [-0.1, 0.1]))]);
        assert!(svg.contains("&lt;a&gt;") && svg.contains("#c2483d") && svg.contains("#888888"), "{svg}");
        let none = draw("m", &[("a", bar(0.0, [0.0, 0.0]))]);
        assert!(!none.contains("NaN") && !none.contains("inf"), "{none}");
    }
}
