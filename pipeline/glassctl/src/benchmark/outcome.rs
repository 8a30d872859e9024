//! What a benchmark found: `benchmark.json`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use glass_schemas::spec::trainer::DataSource;
use serde::Serialize;

use super::cost::Cost;
use super::intervals::Difference;
use super::methods::Method;
use super::runs::{Bench, Measured};
use crate::report::results::{METRICS, Results, Spread};

/// Everything that the page says.
#[derive(Debug, Serialize)]
pub(crate) struct Benchmark {
    /// Steps, batch and minutes of every training, where the spec bounds them.
    pub(crate) budget: Budget,
    /// Seeds of training.
    pub(crate) seeds: Vec<u64>,
    /// Images that were scored.
    pub(crate) images: u64,
    /// Ids of the protocols; the first is the one that the methods are ranked by.
    pub(crate) protocols: Vec<String>,
    /// What the others are compared with.
    pub(crate) reference: String,
    /// The trained methods, as asked for.
    pub(crate) methods: Vec<Row>,
    /// What needs no training.
    pub(crate) untrained: Vec<Untrained>,
}

/// The same for every training.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Budget {
    pub(crate) steps: Option<u64>,
    pub(crate) batch: Option<usize>,
    pub(crate) minutes: Option<f64>,
}

/// Protocol → metric → number.
pub(crate) type Scores = BTreeMap<String, BTreeMap<String, Spread>>;

/// A trained method.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) title: String,
    /// What it was trained on.
    pub(crate) images: DataSource,
    /// The masks that are the method's, as the evaluation calls them.
    pub(crate) masks: String,
    /// The method it learned from, whose training comes on top of its own.
    pub(crate) teacher: Option<String>,
    /// Over training seeds.
    pub(crate) scores: Scores,
    /// The method's other masks, over training seeds.
    pub(crate) other_masks: BTreeMap<String, Scores>,
    /// To the reference; empty for the reference itself.
    pub(crate) differences: Vec<Difference>,
    /// Processor seconds of the steps, over training seeds.
    pub(crate) processor_seconds: Spread,
    /// The largest of its trainings, bytes.
    #[serde(rename = "peak_memory_bytes")]
    pub(crate) peak_memory: Option<u64>,
    /// One a seed.
    pub(crate) runs: Vec<Run>,
}

/// One training.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) run: String,
    pub(crate) evaluation: String,
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

/// Something beside the trained methods.
#[derive(Debug, Serialize)]
pub(crate) struct Untrained {
    pub(crate) name: String,
    /// Over the seeds of what it draws.
    pub(crate) scores: Scores,
}

/// Puts everything together.
///
/// # Errors
/// Where a method has no number.
pub(crate) fn collect(
    bench: &Bench<'_>,
    measured: &[Measured],
    untrained: &Results,
    differences: &[(String, Difference)],
) -> anyhow::Result<Benchmark> {
    let spec = bench.spec;
    let rows = bench.methods.iter().map(|method| row(method, measured, differences));
    Ok(Benchmark {
        budget: Budget { steps: spec.steps, batch: spec.batch, minutes: spec.minutes },
        seeds: spec.seeds.clone(),
        images: untrained.pictures,
        protocols: untrained.protocols.iter().map(|protocol| protocol.id.clone()).collect(),
        reference: bench.reference()?.name.clone(),
        methods: rows.collect::<anyhow::Result<_>>()?,
        untrained: beside(untrained),
    })
}

fn row(method: &Method, measured: &[Measured], differences: &[(String, Difference)]) -> anyhow::Result<Row> {
    let runs: Vec<&Measured> = measured.iter().filter(|run| run.method == method.name).collect();
    let results: Vec<&Results> = runs.iter().map(|run| &run.results).collect();
    let own = runs.first().map_or("", |run| run.masks());
    let names = results.iter().flat_map(|results| &results.protocols).flat_map(|protocol| &protocol.methods);
    let mut others: Vec<String> = names.map(|other| other.method.clone()).filter(|name| name != own).collect();
    others.sort();
    others.dedup();
    let seconds: Vec<f64> = runs.iter().map(|run| run.cost.processor_seconds).collect();
    Ok(Row {
        scores: scores(&results, own),
        other_masks: others.into_iter().map(|name| (name.clone(), scores(&results, &name))).collect(),
        differences: differences
            .iter()
            .filter(|(name, _)| *name == method.name)
            .map(|(_, difference)| difference.clone())
            .collect(),
        processor_seconds: Spread::over(&seconds).with_context(|| format!("`{}` was not trained", method.name))?,
        peak_memory: runs.iter().filter_map(|run| run.cost.peak_memory).max(),
        runs: runs
            .iter()
            .map(|run| Run { seed: run.seed, run: run.run.clone(), evaluation: run.folder.clone(), cost: run.cost })
            .collect(),
        name: method.name.clone(),
        title: method.title.clone(),
        images: method.images,
        masks: own.to_owned(),
        teacher: method.teacher.clone(),
    })
}

/// Means over runs: each run's own mean is over the seeds of its slots.
fn scores(results: &[&Results], masks: &str) -> Scores {
    let mut values: BTreeMap<String, BTreeMap<String, Vec<f64>>> = BTreeMap::new();
    for protocol in results.iter().flat_map(|results| &results.protocols) {
        for method in protocol.methods.iter().filter(|method| method.method == masks) {
            let of_protocol = values.entry(protocol.id.clone()).or_default();
            for (metric, _) in METRICS {
                if let Some(spread) = method.metrics.get(metric) {
                    of_protocol.entry(metric.to_owned()).or_default().push(spread.mean);
                }
            }
        }
    }
    let over = |values: BTreeMap<String, Vec<f64>>| {
        values.into_iter().filter_map(|(metric, values)| Some((metric, Spread::over(&values)?))).collect()
    };
    values.into_iter().map(|(protocol, values)| (protocol, over(values))).collect()
}

fn beside(results: &Results) -> Vec<Untrained> {
    let mut found: Vec<Untrained> = Vec::new();
    for protocol in &results.protocols {
        for method in &protocol.methods {
            let drawn = method.seeds.len() > 1;
            let metrics = METRICS.iter().filter_map(|(metric, _)| {
                let spread = method.metrics.get(*metric)?;
                Some(((*metric).to_owned(), Spread { mean: spread.mean, sd: spread.sd.filter(|_| drawn) }))
            });
            let metrics = metrics.collect();
            let at = found.iter().position(|other| other.name == method.method).unwrap_or_else(|| {
                found.push(Untrained { name: method.method.clone(), scores: Scores::new() });
                found.len() - 1
            });
            found[at].scores.insert(protocol.id.clone(), metrics);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn results(own: f64, other: f64) -> Results {
        let methods = [("slots, attention masks", own), ("slots, decoder masks", other)].map(|(method, value)| {
            serde_json::json!({"method": method, "seeds": [0], "metrics": {"miou_i": {"mean": value, "sd": 0.0}}})
        });
        let protocols = serde_json::json!([{"id": "rules", "methods": methods}]);
        serde_json::from_value(serde_json::json!({"eval_id": "e", "pictures": 2, "protocols": protocols})).unwrap()
    }

    fn run(seed: u64, own: f64, seconds: f64, memory: u64) -> Measured {
        let cost = Cost { processor_seconds: seconds, peak_memory: Some(memory), ..Cost::default() };
        let (run, folder) = (format!("run-{seed}"), format!("folder-{seed}"));
        let (method, metrics) = ("a".to_owned(), String::new());
        Measured { method, seed, run, folder, results: results(own, 0.1), cost, metrics }
    }

    #[test]
    fn a_row_is_the_mean_over_seeds_of_the_methods_own_masks() {
        let runs = [run(0, 0.5, 10.0, 7), run(1, 0.7, 14.0, 5)];
        let (images, teacher) = (DataSource::Images, None);
        let method = Method { name: "a".into(), title: "A".into(), set: vec![], teacher, images, wave: 0 };
        let found = row(&method, &runs, &[]).unwrap();
        let spread = found.scores["rules"]["miou_i"];
        assert!((spread.mean - 0.6).abs() < 1e-12 && (spread.sd.unwrap() - 0.02f64.sqrt()).abs() < 1e-12);
        assert!((found.other_masks["slots, decoder masks"]["rules"]["miou_i"].mean - 0.1).abs() < 1e-12);
        assert_eq!((found.processor_seconds.mean, found.peak_memory), (12.0, Some(7)));
        assert!(row(&method, &[], &[]).is_err());
    }
}
