//! Losses over the steps, one chart a term, one line a seed.

use std::collections::{BTreeMap, BTreeSet};

use crate::benchmark::outcome::Benchmark;
use crate::benchmark::runs::Measured;
use crate::report::curves::{COLOURS, draw, series};
use crate::report::html::{Page, escape};

/// What a chart shows.
const TERMS: &str = "loss/";
/// Their weighted sum.
const TOTAL: &str = "loss/total";

/// All methods, in the order of the table.
pub(super) fn curves(page: &mut Page, made: &Benchmark, measured: &[Measured]) {
    page.section(
        "Training",
        "Each method's losses, means over the steps between two points, a line a seed. Methods have different \
         losses, so only shapes compare.",
    );
    page.raw("<div class=legend>");
    for (seed, colour) in made.seeds.iter().zip(COLOURS.iter().cycle()) {
        page.raw(&format!("<span style=\"--c:{colour}\">seed {seed}</span>"));
    }
    page.raw("</div>");
    for row in &made.methods {
        let runs = measured.iter().filter(|run| run.method == row.name);
        let runs: Vec<BTreeMap<String, Vec<(f64, f64)>>> = runs.map(|run| series(&run.metrics)).collect();
        let of = |term: &String| -> Vec<Vec<(f64, f64)>> {
            runs.iter().map(|run| run.get(term).cloned().unwrap_or_default()).collect()
        };
        // A term that a method does not have is zero throughout.
        let mut terms: BTreeSet<&String> = runs
            .iter()
            .flat_map(BTreeMap::keys)
            .filter(|name| name.starts_with(TERMS) && of(name).iter().flatten().any(|(_, value)| *value != 0.0))
            .collect();
        // The sum of one term says nothing more.
        if terms.len() == 2 {
            terms.retain(|name| *name != TOTAL);
        }
        let charts: String = terms.into_iter().map(|term| draw(term, &of(term))).collect();
        page.raw(&format!(
            "<div class=row><div class=head>{}</div><div class=curves>{charts}</div></div>",
            escape(&row.title)
        ));
    }
}
