//! The tables.

use super::RANKED_BY;
use super::forest;
use crate::benchmark::intervals::Difference;
use crate::benchmark::outcome::{Benchmark, Row};
use crate::benchmark::published::{self, Published};
use crate::benchmark::table::{heads, line};
use crate::report::html::{Cell, Page};
use crate::report::results::{METRICS, NOTHING};
use crate::text;

/// All methods under the first protocol.
pub(super) fn headline(page: &mut Page, made: &Benchmark) {
    let Some(protocol) = made.protocols.first() else { return };
    page.section(
        &format!("Numbers under {protocol}"),
        "Mean ± standard deviation over training seeds; the best of the trained methods in bold. Below \
         them, pale, what needs no training. Training is processor time of the steps over all attempts; \
         memory is the largest resident size of a training process, cached features included; images are what \
         it was trained on, drawn ones with their pseudo-masks or real ones.",
    );
    table(page, made, protocol);
}

/// The other protocols' tables.
pub(super) fn other_protocols(page: &mut Page, made: &Benchmark) {
    if made.protocols.len() < 2 {
        return;
    }
    page.section("The same masks under the other protocols", "One pass over the predictions computes all of them.");
    for protocol in &made.protocols[1..] {
        table(page, made, protocol);
    }
}

fn table(page: &mut Page, made: &Benchmark, protocol: &str) {
    let value = |row: &Row, metric: &str| Some(row.scores.get(protocol)?.get(metric)?.mean);
    let best = METRICS.map(|(metric, _)| {
        let values = made.methods.iter().filter_map(|row| value(row, metric));
        values.fold(f64::NEG_INFINITY, f64::max)
    });
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for row in &made.methods {
        let cells = line(&row.title, &row.scores, protocol, Some(row)).into_iter().enumerate();
        rows.push(
            cells
                .map(|(at, cell)| match at.checked_sub(1).and_then(|at| Some((METRICS.get(at)?, best.get(at)?))) {
                    Some(((metric, _), best)) if value(row, metric).is_some_and(|value| value >= *best) => {
                        Cell::best(cell)
                    }
                    _ => Cell::from(cell),
                })
                .collect(),
        );
    }
    for row in &made.untrained {
        rows.push(line(&row.name, &row.scores, protocol, None).into_iter().map(Cell::aside).collect());
    }
    page.table(&heads(protocol), &rows);
}

/// Paired differences to the reference, as a picture and as numbers.
pub(super) fn differences(page: &mut Page, made: &Benchmark) {
    let (Some(protocol), true) = (made.protocols.first(), made.methods.len() > 1) else { return };
    let reference = made.methods.iter().find(|row| row.name == made.reference);
    let reference = reference.map_or(made.reference.as_str(), |row| row.title.as_str());
    page.section(
        &format!("Difference to {reference}"),
        &format!(
            "Image by image, each image averaged over training seeds, with a 95 % bootstrap interval over \
             images. An interval that holds zero, pale, shows no difference on these images. It says \
             nothing of the spread between trainings, which the table above gives. Protocol {protocol}."
        ),
    );
    let of = |row: &Row, metric: &str| -> Option<Difference> {
        row.differences.iter().find(|other| other.protocol == *protocol && other.metric == metric).cloned()
    };
    let others: Vec<&Row> = made.methods.iter().filter(|row| row.name != made.reference).collect();
    let bars: Vec<(&str, Difference)> =
        others.iter().filter_map(|row| Some((row.name.as_str(), of(row, RANKED_BY.0)?))).collect();
    page.raw(&forest::draw(RANKED_BY.1, &bars));
    let mut heads = vec!["difference".to_owned()];
    heads.extend(METRICS.map(|(_, name)| name.to_owned()));
    let cell = |difference: Option<Difference>| match difference {
        None => Cell::from(NOTHING.to_owned()),
        Some(Difference { difference, interval: [low, high], .. }) => {
            let text = format!("{difference:+.3} [{low:.3}, {high:.3}]");
            if low <= 0.0 && high >= 0.0 { Cell::aside(text) } else { Cell::from(text) }
        }
    };
    let rows: Vec<Vec<Cell>> = others
        .iter()
        .map(|row| {
            let cells = METRICS.iter().map(|(metric, _)| cell(of(row, metric)));
            std::iter::once(Cell::from(row.name.clone())).chain(cells).collect()
        })
        .collect();
    page.table(&heads, &rows);
}

/// The order here beside the published one, and the published numbers.
pub(super) fn published(page: &mut Page, made: &Benchmark) -> anyhow::Result<()> {
    let names: Vec<&str> = made.methods.iter().map(|row| row.name.as_str()).collect();
    let lines = published::of(&names)?;
    let Some(protocol) = made.protocols.first().filter(|_| !lines.is_empty()) else { return Ok(()) };
    page.section(
        "Beside the published numbers",
        "Percent, on VOC 2012 and COCO 2017 with the published encoders and trainings of days. Papers differ \
         in protocol: in the tables that hold GLASS background is an object of mIoU but not of mBO, in SPOT's \
         and DINOSAUR's of neither. What can be compared with the numbers here is the order, not the value.",
    );
    let here = |line: &Published| {
        let row = made.methods.iter().find(|row| row.name == line.method)?;
        let scores = line.masks.as_ref().map_or(Some(&row.scores), |masks| row.other_masks.get(masks))?;
        Some(scores.get(protocol)?.get(RANKED_BY.0)?.mean)
    };
    let ranked = published::order(&lines);
    let mut measured: Vec<(&str, f64)> =
        ranked.iter().filter_map(|line| Some((line.name.as_str(), here(line)?))).collect();
    measured.sort_by(|a, b| a.1.total_cmp(&b.1));
    if measured.len() > 1 {
        let published: Vec<String> =
            ranked.iter().map(|line| format!("{} {}", line.name, line.voc[RANKED_BY.0])).collect();
        let found: Vec<String> = measured.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        let same = measured.iter().map(|(name, _)| *name).eq(ranked.iter().map(|line| line.name.as_str()));
        page.paragraph(&format!(
            "By {}, lowest first. Published for VOC: {}. Here: {}. {}",
            RANKED_BY.1,
            published.join(" < "),
            found.join(" < "),
            if same {
                "The order of the means is the same; more seeds tell whether close neighbours differ."
            } else {
                "The order is another."
            }
        ));
    }
    let columns: [(&str, &str); 4] =
        [("miou_i", "mIoU_i"), ("mbo_i", "mBO_i"), ("mbo_c", "mBO_c"), ("fg_ari", "FG-ARI")];
    let mut heads = vec!["published".to_owned()];
    for data in ["VOC", "COCO"] {
        heads.extend(columns.map(|(_, name)| format!("{data} {name}")));
    }
    heads.extend([format!("{} here", RANKED_BY.1), "from".to_owned()]);
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let mut cells = vec![line.name.clone()];
            for data in [&line.voc, &line.coco] {
                let percent = |value: &f64| format!("{value:.1}");
                cells.extend(columns.map(|(key, _)| data.get(key).map_or_else(|| NOTHING.to_owned(), percent)));
            }
            let here = here(line).map_or_else(|| NOTHING.to_owned(), |value| format!("{:.1}", 100.0 * value));
            cells.extend([here, line.from.clone()]);
            cells
        })
        .collect();
    page.table(&heads, &rows);
    Ok(())
}

/// Masks that a method has beside those it is judged by.
pub(super) fn other_masks(page: &mut Page, made: &Benchmark) {
    let Some(protocol) = made.protocols.first() else { return };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in made.methods.iter().filter(|row| !row.other_masks.is_empty()) {
        let own = std::iter::once((&row.masks, &row.scores));
        for (masks, scores) in own.chain(&row.other_masks) {
            let mut cells = line(&row.name, scores, protocol, None).to_vec();
            cells.truncate(1 + METRICS.len());
            cells.insert(1, masks.clone());
            rows.push(cells);
        }
    }
    if rows.is_empty() {
        return;
    }
    page.section("Other masks of the same methods", "The first of each method are those it is judged by above.");
    let mut names = heads(protocol).to_vec();
    names.truncate(1 + METRICS.len());
    names.insert(1, "masks".to_owned());
    page.table(&names, &rows);
}

/// Every single training.
pub(super) fn runs(page: &mut Page, made: &Benchmark) {
    page.section(
        "Trainings",
        "Preparing is processor time before the first step: methods on the same features share them, and who \
         comes first computes them. Time on the clock depends on what else the machine did.",
    );
    let seconds = |seconds: f64| text::duration(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let heads = ["method", "seed", "run", "steps", "attempts", "training", "on the clock", "preparing", "memory"];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for row in &made.methods {
        for run in &row.runs {
            rows.push(vec![
                row.name.clone(),
                run.seed.to_string(),
                run.run.clone(),
                run.cost.steps.to_string(),
                run.cost.attempts.to_string(),
                seconds(run.cost.processor_seconds),
                seconds(run.cost.wall_seconds),
                seconds(run.cost.preparing_seconds),
                run.cost.peak_memory.map_or_else(|| NOTHING.to_owned(), text::bytes),
            ]);
        }
    }
    page.table(&heads.map(str::to_owned), &rows);
}
