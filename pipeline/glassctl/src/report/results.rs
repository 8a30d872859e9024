//! The numbers of an evaluation, as `trainer evaluate` stores them.

use std::collections::BTreeMap;

use anyhow::Context;
use glass_dataset::Store;
use serde::Deserialize;

/// The metrics shown, with their short names.
pub const METRICS: [(&str, &str); 4] =
    [("miou_i", "mIoU_i"), ("mbo_i", "mBO_i"), ("mbo_c", "mBO_c"), ("fg_ari", "FG-ARI")];

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
#[derive(Debug, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation; none for a single seed.
    pub sd: Option<f64>,
}

impl MethodResult {
    /// The mean of a metric; NaN where it was not computed.
    pub fn mean(&self, metric: &str) -> f64 {
        self.metrics.get(metric).map_or(f64::NAN, |spread| spread.mean)
    }

    /// `0.571 ± 0.003`.
    pub fn cell(&self, metric: &str) -> String {
        match self.metrics.get(metric) {
            None => "–".to_owned(),
            Some(Spread { mean, sd: Some(sd) }) if self.seeds.len() > 1 => format!("{mean:.3} ± {sd:.3}"),
            Some(Spread { mean, .. }) => format!("{mean:.3}"),
        }
    }
}

impl Results {
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
        let text = store.get(&key).await?;
        let results = serde_json::from_slice(&text).with_context(|| format!("cannot read `{key}`"))?;
        let folder = key.trim_end_matches("/results.json").to_owned();
        Ok((folder, results))
    }
}
