//! The table as text.

use std::collections::BTreeMap;
use std::time::Duration;

use glass_schemas::spec::trainer::DataSource;

use super::methods::Method;
use super::outcome::{Benchmark, Row, Scores};
use crate::report::results::{METRICS, NOTHING, Spread};
use crate::text;

/// Trained methods under the first protocol, then what needs no training.
pub(super) fn text(made: &Benchmark) -> String {
    let protocol = made.protocols.first().map_or("", String::as_str);
    let mut rows = vec![heads("method")];
    rows.extend(made.methods.iter().map(|row| line(&row.name, &row.scores, protocol, Some(row))));
    rows.extend(made.untrained.iter().map(|row| line(&row.name, &row.scores, protocol, None)));
    format!(
        "{}\n{} images, protocol {protocol}, mean ± sd over training seeds {:?}\n{}",
        budget(made),
        made.images,
        made.seeds,
        text::table(&rows)
    )
}

/// What would be trained, in the order in which it can be.
pub(super) fn plan(methods: &[Method], seeds: &[u64]) -> String {
    let mut rows = vec![["wave", "method", "images", "learns from", "what it is"].map(str::to_owned)];
    rows.extend(methods.iter().map(|method| {
        let teacher = method.teacher.clone().unwrap_or_else(|| NOTHING.to_owned());
        [method.wave.to_string(), method.name.clone(), source(method.images).to_owned(), teacher, method.title.clone()]
    }));
    let trainings = methods.len() * seeds.len();
    format!("{}\n{trainings} trainings: each method with the seeds {seeds:?}\n", text::table(&rows))
}

fn source(images: DataSource) -> &'static str {
    match images {
        DataSource::Generated => "drawn",
        DataSource::Images => "real",
    }
}

/// Columns of a line: name, metrics, time, memory, images.
pub(super) const COLUMNS: usize = METRICS.len() + 4;

/// Their names.
pub(super) fn heads(first: &str) -> [String; COLUMNS] {
    std::array::from_fn(|at| match at {
        0 => first.to_owned(),
        at if at <= METRICS.len() => METRICS[at - 1].1.to_owned(),
        at if at == METRICS.len() + 1 => "training".to_owned(),
        at if at == METRICS.len() + 2 => "memory".to_owned(),
        _ => "images".to_owned(),
    })
}

/// Their values.
pub(super) fn line(name: &str, scores: &Scores, protocol: &str, trained: Option<&Row>) -> [String; COLUMNS] {
    let of_protocol = scores.get(protocol);
    std::array::from_fn(|at| match at {
        0 => name.to_owned(),
        at if at <= METRICS.len() => cell(of_protocol, METRICS[at - 1].0),
        at if at == METRICS.len() + 1 => trained.map_or_else(String::new, time),
        at if at == METRICS.len() + 2 => trained.and_then(|row| row.peak_memory).map_or_else(String::new, text::bytes),
        _ => trained.map_or_else(String::new, |row| source(row.images).to_owned()),
    })
}

/// `0.571 ± 0.003`, or a dash.
fn cell(scores: Option<&BTreeMap<String, Spread>>, metric: &str) -> String {
    scores.and_then(|scores| scores.get(metric)).map_or_else(|| NOTHING.to_owned(), Spread::cell)
}

/// `2 min 05 s ± 1.2 s`
fn time(row: &Row) -> String {
    let of = |seconds: f64| text::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let Spread { mean, sd } = row.processor_seconds;
    let spread = sd.map_or_else(String::new, |sd| format!(" ± {}", of(sd)));
    let teacher = if row.teacher.is_some() { " + its teacher's" } else { "" };
    format!("{}{spread}{teacher}", of(mean))
}

/// The bounds that every training has.
pub(super) fn budget(made: &Benchmark) -> String {
    let bounds = [
        made.budget.steps.map(|steps| format!("{steps} steps")),
        made.budget.batch.map(|batch| format!("batches of {batch}")),
        made.budget.minutes.map(|minutes| format!("at most {minutes} min of processor time")),
    ];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    match bounds.is_empty() {
        true => "every training as long as its method says".to_owned(),
        false => format!("every training: {}", bounds.join(", ")),
    }
}
