//! What came of a job: the answer of `glassctl run` and `glassctl demo`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use glass_dataset::{Dataset, DatasetError, Store};
use glass_schemas::ids::DatasetKind;
use glass_schemas::spec::RunSpec;
use serde_json::Value;

use crate::text;

/// What was made.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Made {
    pub(crate) datasets: Vec<MadeDataset>,
    /// The trained run.
    pub(crate) run: Option<String>,
    pub(crate) evaluation: Option<Evaluation>,
    /// The page that shows everything.
    pub(crate) report: Option<PathBuf>,
    /// Of this call; what was there already took none.
    pub(crate) seconds: f64,
}

/// One dataset.
#[derive(Debug, serde::Serialize)]
pub(crate) struct MadeDataset {
    pub(crate) dataset: String,
    pub(crate) rows: u64,
    pub(crate) quarantined: u64,
    pub(crate) bytes: u64,
}

/// The numbers of a run.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Evaluation {
    /// Where they are, below the store.
    pub(crate) folder: String,
    /// Its `results.json`.
    pub(crate) results: Value,
}

impl Evaluation {
    /// The evaluation in this folder of a store.
    pub(crate) async fn at(store: &Store, folder: String) -> anyhow::Result<Self> {
        let key = format!("{folder}/results.json");
        let results =
            serde_json::from_slice(&store.get(&key).await?).with_context(|| format!("cannot read `{key}`"))?;
        Ok(Self { folder, results })
    }
}

impl Made {
    /// The datasets that the spec stands for, since a moment.
    pub(crate) async fn since(started: Instant, store: &Store, spec: &RunSpec) -> anyhow::Result<Self> {
        let mut made = Self::default();
        for kind in DatasetKind::ALL {
            let dataset = match Dataset::find(store, kind, spec).await {
                Err(DatasetError::NotMade { .. }) => continue,
                found => found?,
            };
            let standing = dataset.standing().await?;
            made.datasets.push(MadeDataset {
                dataset: dataset.id().to_string(),
                rows: standing.rows,
                quarantined: standing.quarantined,
                bytes: standing.bytes,
            });
        }
        made.seconds = started.elapsed().as_secs_f64();
        Ok(made)
    }

    /// Datasets, then what the trainer printed of its numbers, then the rest.
    pub(crate) fn text(&self, numbers: &str) -> String {
        let mut rows = vec![["dataset", "rows", "quarantined", "stored"].map(str::to_owned)];
        rows.extend(
            self.datasets
                .iter()
                .map(|it| [it.dataset.clone(), it.rows.to_string(), it.quarantined.to_string(), text::bytes(it.bytes)]),
        );
        let mut parts = vec![text::table(&rows)];
        parts.extend((!numbers.is_empty()).then(|| numbers.to_owned()));
        let line = |name: &str, value: String| format!("{name:<8}{value}\n");
        let failed: u64 = self.datasets.iter().map(|it| it.quarantined).sum();
        let advice = format!("{failed} samples: `glassctl failed` lists them, `glassctl retry` makes them again");
        let took = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let last = [
            self.run.iter().map(|run| line("run", run.clone())).collect(),
            self.report.iter().map(|page| line("report", page.display().to_string())).collect(),
            line("took", text::duration(took)),
            if failed > 0 { line("failed", advice) } else { String::new() },
        ];
        parts.push(last.concat());
        parts.join("\n")
    }
}
