//! Two or more evaluations of the same pictures: differences image by image, and how sure they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchReader};
use arrow::datatypes::{DataType, Float64Type};
use glass_metrics::{MeanSd, bootstrap_interval, mean_sd};
use glass_schemas::seeds::{Purpose, Stream};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;
use serde::Serialize;

use super::EvalError;

/// Share of the bootstrap means inside an interval.
pub const LEVEL: f64 = 0.95;

/// One row of a per-image table.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Name of the image.
    pub image: String,
    /// The rules.
    pub protocol: String,
    /// What made the masks.
    pub method: String,
    /// Metric → value; `None` where the image takes no part.
    pub values: BTreeMap<String, Option<f64>>,
}

impl Scored {
    /// A metric, where the image takes part in it.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.values.get(metric).copied().flatten()
    }
}

/// Reads `per-image.parquet`.
///
/// # Errors
/// [`EvalError::File`], and [`EvalError::Given`] where it is no such table.
pub fn read(path: &Path) -> Result<Vec<Scored>, EvalError> {
    let refuse = |problem: String| EvalError::Given {
        path: path.to_owned(),
        field: "the table".into(),
        problem,
        hint: "give a per-image.parquet of `trainer evaluate`, or what its --per-image wrote".into(),
    };
    let file = File::open(path).map_err(EvalError::read(path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| refuse(format!("is no readable Parquet: {error}")))?;
    let schema = reader.schema();
    let is_metric = |field: &&arrow::datatypes::FieldRef| *field.data_type() == DataType::Float64;
    let metrics: Vec<String> = schema.fields().iter().filter(is_metric).map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| refuse(format!("is damaged: {error}")))?;
        let text = |name: &str| {
            let column = batch.column_by_name(name).filter(|column| *column.data_type() == DataType::Utf8);
            column.map(|column| column.as_string::<i32>()).ok_or_else(|| refuse(format!("has no column `{name}`")))
        };
        let (images, protocols, methods) = (text("image")?, text("protocol")?, text("method")?);
        rows.extend((0..batch.num_rows()).map(|row| Scored {
            image: images.value(row).to_owned(),
            protocol: protocols.value(row).to_owned(),
            method: methods.value(row).to_owned(),
            values: metrics.iter().map(|metric| (metric.clone(), cell(&batch, metric, row))).collect(),
        }));
    }
    if rows.is_empty() {
        return Err(refuse("has no row".into()));
    }
    Ok(rows)
}

fn cell(batch: &RecordBatch, metric: &str, row: usize) -> Option<f64> {
    let column = batch.column_by_name(metric)?.as_primitive::<Float64Type>();
    column.is_valid(row).then(|| column.value(row))
}

/// Means over seeds: (protocol, metric) → image → value.
pub type Scores = BTreeMap<(String, String), BTreeMap<String, f64>>;

/// The scores of one method; `None` takes the only one there is.
///
/// # Errors
/// What is wrong, where there is no such method or more than one.
pub fn scores(rows: &[Scored], method: Option<&str>) -> Result<Scores, String> {
    let mut methods: Vec<&str> = rows.iter().map(|row| row.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let method = match (method, methods.as_slice()) {
        (Some(method), _) if methods.contains(&method) => method,
        (None, [only]) => only,
        (Some(method), _) => return Err(format!("has no method `{method}`, it has `{}`", methods.join("`, `"))),
        (None, _) => return Err(format!("has the methods `{}`: choose one with --method", methods.join("`, `"))),
    };
    let mut sums: BTreeMap<(String, String), BTreeMap<String, (f64, u32)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.method == method) {
        for (metric, value) in &row.values {
            if let Some(value) = value {
                let images = sums.entry((row.protocol.clone(), metric.clone())).or_default();
                let sum = images.entry(row.image.clone()).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
    }
    let mean = |(image, (sum, count)): (String, (f64, u32))| (image, sum / f64::from(count));
    Ok(sums.into_iter().map(|(key, images)| (key, images.into_iter().map(mean).collect())).collect())
}

/// How two runs differ in one metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The rules.
    pub protocol: String,
    /// The metric.
    pub metric: String,
    /// The run compared with, and the run compared.
    pub runs: [String; 2],
    /// Images that take part in both.
    pub images: usize,
    /// Means over those images.
    pub means: [f64; 2],
    /// Mean of the second minus the first, image by image.
    pub difference: f64,
    /// Standard deviation of those differences.
    pub sd: f64,
    /// Percentile bootstrap interval of the mean difference, [`LEVEL`].
    pub interval: [f64; 2],
    /// Images that differ most, the largest first, with their differences.
    pub largest: Vec<(String, f64)>,
    /// The file in which they were drawn, rows in that order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

/// Pairs the images of two runs, for every protocol and metric that both have.
///
/// `resamples` bootstrap means make an interval, from the stream of `seed`; `shown` images are named.
pub fn differences(
    [(first, of_first), (second, of_second)]: [(&str, &Scores); 2],
    resamples: usize,
    seed: u64,
    shown: usize,
) -> Vec<Difference> {
    let keys: Vec<_> = of_first.keys().filter(|key| of_second.contains_key(*key)).collect();
    let compare = |key: &&(String, String)| {
        let (left, right) = (&of_first[*key], &of_second[*key]);
        let pairs: Vec<(&String, [f64; 2])> =
            left.iter().filter_map(|(image, a)| Some((image, [*a, *right.get(image)?]))).collect();
        let values: Vec<f64> = pairs.iter().map(|(_, [a, b])| b - a).collect();
        let MeanSd { mean, sd, count } = mean_sd(&values)?;
        // Every metric resamples the same images, so that their intervals belong together.
        let stream = Stream::new(seed, count, Purpose::Bootstrap);
        let mut position = 0;
        let draw = |bound: usize| {
            position += 1;
            stream.below(position - 1, bound as u64) as usize
        };
        let (low, high) = bootstrap_interval(&values, resamples, LEVEL, draw)?;
        let mut largest: Vec<(String, f64)> =
            pairs.iter().zip(&values).map(|((image, _), value)| ((*image).clone(), *value)).collect();
        largest.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        largest.truncate(shown);
        let average = |side: usize| pairs.iter().map(|(_, pair)| pair[side]).sum::<f64>() / count as f64;
        Some(Difference {
            protocol: key.0.clone(),
            metric: key.1.clone(),
            runs: [first.to_owned(), second.to_owned()],
            images: count,
            means: [average(0), average(1)],
            difference: mean,
            sd,
            interval: [low, high],
            largest,
            picture: None,
        })
    };
    keys.par_iter().filter_map(compare).collect()
}
