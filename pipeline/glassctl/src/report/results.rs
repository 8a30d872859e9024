//! The numbers of an evaluation, as `trainer evaluate` stores them.

use std::collections::BTreeMap;

use anyhow::Context;
use glass_dataset::Store;
use glass_metrics::{MeanSd, mean_sd};
use serde::{Deserialize, Serialize};

/// The metrics shown, with their short names.
pub const METRICS: [(&str, &str); 6] = [
    ("miou_i", "mIoU_i"),
    ("miou_c", "mIoU_c"),
    ("mbo_i", "mBO_i"),
    ("mbo_c", "mBO_c"),
    ("fg_ari", "FG-ARI"),
    ("corloc", "CorLoc"),
];

/// `results.json`.
#[derive(Debug, Deserialize)]
pub struct Results {
    /// Name of the evaluation.
    pub eval_id: String,
    /// Pictures scored.
    pub pictures: u64,
    /// Protocol by protocol.
    pub protocols: Vec<ProtocolResult>,
}

/// All methods under one protocol.
#[derive(Debug, Deserialize)]
pub struct ProtocolResult {
    /// Printed beside every number.
    pub id: String,
    /// The methods.
    pub methods: Vec<MethodResult>,
}

/// One method under one protocol.
#[derive(Debug, Deserialize)]
pub struct MethodResult {
    /// The method.
    pub method: String,
    /// Seeds that it was run with.
    pub seeds: Vec<u64>,
    /// Metric → number.
    pub metrics: BTreeMap<String, Spread>,
}

/// A metric over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation; none for a single seed.
    pub sd: Option<f64>,
}

impl MethodResult {
    /// `0.571 ± 0.003`.
    pub fn cell(&self, metric: &str) -> String {
        match self.metrics.get(metric) {
            None => NOTHING.to_owned(),
            Some(spread) if self.seeds.len() > 1 => spread.cell(),
            Some(Spread { mean, .. }) => format!("{mean:.3}"),
        }
    }
}

/// A cell without a number.
pub const NOTHING: &str = "–";

impl Spread {
    /// Mean and standard deviation of one number a seed; `None` without any.
    pub fn over(values: &[f64]) -> Option<Self> {
        let MeanSd { mean, sd, count } = mean_sd(values)?;
        Some(Self { mean, sd: (count > 1).then_some(sd) })
    }

    /// `0.571 ± 0.003`.
    pub fn cell(&self) -> String {
        match self.sd {
            Some(sd) => format!("{:.3} ± {sd:.3}", self.mean),
            None => format!("{:.3}", self.mean),
        }
    }
}

impl Results {
    /// The evaluation in this folder of a store.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn at(store: &Store, folder: &str) -> anyhow::Result<Self> {
        let key = format!("{folder}/results.json");
        let text = store.get(&key).await?;
        serde_json::from_slice(&text).with_context(|| format!("cannot read `{key}`"))
    }

    /// The newest evaluation of a run.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub async fn newest(store: &Store, run: &str) -> anyhow::Result<Self> {
        let (_, results) = Self::newest_with_folder(store, run).await?;
        Ok(results)
    }

    /// The newest evaluation of a run and its folder below the store.
    ///
    /// # Errors
    /// As [`Results::newest`].
    pub async fn newest_with_folder(store: &Store, run: &str) -> anyhow::Result<(String, Self)> {
        use futures::TryStreamExt;
        let prefix = format!("runs/{run}/eval");
        let mut found: Vec<_> = store.list(&prefix).try_collect().await?;
        found.retain(|entry| entry.key.ends_with("/results.json"));
        let newest = found.into_iter().max_by_key(|entry| entry.modified);
        let key = newest.with_context(|| format!("run `{run}` was not evaluated"))?.key;
        let folder = key.trim_end_matches("/results.json").to_owned();
        let results = Self::at(store, &folder).await?;
        Ok((folder, results))
    }
}
