//! How sure a difference is: paired image by image, from `trainer compare`.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::methods::Method;
use super::runs::{Bench, Measured};
use crate::report::results::METRICS;

/// A method minus the reference, as `trainer compare` prints it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Difference {
    /// The rules.
    pub(crate) protocol: String,
    /// The metric.
    pub(crate) metric: String,
    /// Images that take part in both.
    pub(crate) images: u64,
    /// Mean over images of the difference, each image averaged over training seeds.
    pub(crate) difference: f64,
    /// Bootstrap interval over images.
    pub(crate) interval: [f64; 2],
}

#[derive(Deserialize)]
struct Printed {
    runs: [String; 2],
    #[serde(flatten)]
    difference: Difference,
}

/// Each method's differences to the reference, by method; none for the reference itself.
///
/// # Errors
/// What `trainer compare` could not do.
pub(crate) async fn differences(bench: &Bench<'_>, measured: &[Measured]) -> anyhow::Result<Vec<(String, Difference)>> {
    let reference = &bench.reference()?.name;
    let mut methods: Vec<&Method> = bench.methods.iter().collect();
    methods.sort_by_key(|method| method.name != *reference);
    if methods.len() < 2 {
        return Ok(Vec::new());
    }
    let masks = |method: &Method| {
        let first = measured.iter().find(|run| run.method == method.name);
        first.map_or("", Measured::masks).to_owned()
    };
    let tables = |method: &Method| -> String {
        let runs = measured.iter().filter(|run| run.method == method.name);
        let files = runs.map(|run| bench.out.join(&run.folder).join("per-image.parquet"));
        files.map(|file| file.display().to_string()).collect::<Vec<_>>().join(",")
    };
    let runs: Vec<String> = methods.iter().map(|method| tables(method)).collect();
    let metrics = METRICS.map(|(key, _)| key).join(",");
    let mut arguments = runs.clone();
    arguments.extend(["--json", "-", "--images", "0", "--metric", &metrics].map(str::to_owned));
    arguments.extend(methods.iter().flat_map(|method| ["--method".to_owned(), masks(method)]));
    let printed = bench.runner.compare(&arguments, bench.context).await?;
    let printed: Vec<Printed> = serde_json::from_str(&printed).context("`trainer compare` printed something else")?;
    let named = printed.into_iter().filter_map(|printed| {
        let at = runs.iter().position(|run| *run == printed.runs[1])?;
        Some((methods[at].name.clone(), printed.difference))
    });
    Ok(named.collect())
}
