//! Names and order of the numbers of one picture, and their means.

use std::collections::BTreeMap;

use glass_metrics::{ImageScores, METRIC_NAMES, Mean, MeanSd, OverlapScores, Overlaps, Protocol, mean_sd};
use serde::Serialize;

use super::run::Row;
use super::{EvalError, Method};

/// Overlap metrics under both background rules, whatever the protocol's own: tables of other papers mix them.
pub const BOTH_RULES: [&str; 8] = [
    "miou_i_with_background",
    "miou_i_without_background",
    "miou_c_with_background",
    "miou_c_without_background",
    "mbo_i_with_background",
    "mbo_i_without_background",
    "mbo_c_with_background",
    "mbo_c_without_background",
];

/// Metrics by boxes, of data that have nothing else.
pub const BY_BOXES: [&str; 3] = ["box_mbo", "box_corloc", "box_recovery"];

/// What painted boxes stand for masks in (GLASS, `bbox_to_mask`): the segment that fills a box best. A painted box has
/// no outline and says nothing of the ground, so that the other metrics of masks mean nothing; nor does this one where
/// overlaps are left out, as boxes overlap everywhere.
const BY_PAINTED_BOXES: &str = "mbo_i_without_background";

/// All columns: the protocol's own metrics, then [`BOTH_RULES`], then [`BY_BOXES`].
pub fn columns() -> impl Iterator<Item = &'static str> {
    METRIC_NAMES.into_iter().chain(BOTH_RULES).chain(BY_BOXES)
}

/// The numbers of one picture in the order of [`columns`]; `None` where the picture takes no part in a mean.
pub fn values(protocol: &Protocol, row: &Row<'_>) -> Vec<Option<f64>> {
    let mut values = of_masks(protocol, &row.scores);
    if row.boxes.is_some() {
        let kept = |name: &str| name == BY_PAINTED_BOXES && protocol.overlaps == Overlaps::Keep;
        let meaningless = columns().zip(&mut values).filter(|(name, _)| !kept(name));
        meaningless.for_each(|(_, value)| *value = None);
    }
    let boxes = row.boxes.flatten();
    values.extend([
        boxes.map(|boxes| boxes.best_overlap),
        boxes.map(|boxes| boxes.corloc),
        boxes.map(|boxes| boxes.recovery),
    ]);
    values
}

fn of_masks(protocol: &Protocol, scores: &ImageScores) -> Vec<Option<f64>> {
    let (i, c) = (&scores.instances, &scores.semantics);
    let miou = |overlap: Option<OverlapScores>| overlap.map(|overlap| overlap.miou);
    let mbo = |overlap: Option<OverlapScores>| overlap.map(|overlap| overlap.mbo);
    let mut values = protocol.headline(scores).values().to_vec();
    values.extend([
        miou(i.with_background),
        miou(i.without_background),
        miou(c.with_background),
        miou(c.without_background),
        mbo(i.with_background),
        mbo(i.without_background),
        mbo(c.with_background),
        mbo(c.without_background),
    ]);
    values
}

/// Means over pictures, one set a (protocol, method, seed).
#[derive(Debug, Default)]
pub struct Means {
    means: BTreeMap<(usize, Method, u64), Vec<Mean>>,
    order: Vec<Method>,
}

impl Means {
    /// Adds a picture.
    pub fn add(&mut self, row: &Row<'_>, values: &[Option<f64>]) {
        if !self.order.contains(&row.method) {
            self.order.push(row.method);
        }
        let key = (row.protocol, row.method, row.seed);
        let means = self.means.entry(key).or_insert_with(|| vec![Mean::default(); values.len()]);
        for (mean, value) in means.iter_mut().zip(values) {
            mean.add(*value);
        }
    }

    /// Mean and standard deviation over seeds, protocol by protocol and method by method.
    pub fn summary(&self, protocols: &[Protocol]) -> Vec<ProtocolSummary> {
        let summarise = |(index, protocol): (usize, &Protocol)| ProtocolSummary {
            id: protocol.id.clone(),
            protocol: protocol.clone(),
            methods: self.order.iter().filter_map(|&method| self.method(index, method)).collect(),
        };
        protocols.iter().enumerate().map(summarise).collect()
    }

    fn method(&self, protocol: usize, method: Method) -> Option<MethodSummary> {
        let runs: Vec<(u64, &Vec<Mean>)> = self
            .means
            .range((protocol, method, 0)..=(protocol, method, u64::MAX))
            .map(|(key, means)| (key.2, means))
            .collect();
        let pictures = runs.iter().flat_map(|(_, means)| means.iter().map(Mean::count)).max()?;
        let metrics = columns()
            .enumerate()
            .filter_map(|(column, name)| {
                let per_seed: Vec<f64> = runs.iter().filter_map(|(_, means)| means[column].value()).collect();
                let MeanSd { mean, sd, .. } = mean_sd(&per_seed)?;
                let pictures = runs.iter().map(|(_, means)| means[column].count()).max().unwrap_or(0);
                Some((name, Spread { mean, sd, pictures, per_seed }))
            })
            .collect();
        Some(MethodSummary { method, seeds: runs.iter().map(|run| run.0).collect(), pictures, metrics })
    }
}

/// All methods under one protocol.
#[derive(Debug, Clone, Serialize)]
pub struct ProtocolSummary {
    /// Printed beside every number.
    pub id: String,
    /// The rules in full.
    pub protocol: Protocol,
    /// The methods, as asked for.
    pub methods: Vec<MethodSummary>,
}

/// One method under one protocol.
#[derive(Debug, Clone, Serialize)]
pub struct MethodSummary {
    /// The method.
    pub method: Method,
    /// Seeds that it was run with.
    pub seeds: Vec<u64>,
    /// Pictures scored.
    pub pictures: u64,
    /// Metric → number.
    pub metrics: BTreeMap<&'static str, Spread>,
}

/// A metric over seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Spread {
    /// Mean over seeds of the mean over pictures.
    pub mean: f64,
    /// Sample standard deviation over seeds; 0 for one seed.
    pub sd: f64,
    /// Pictures that take part in the mean.
    pub pictures: u64,
    /// The means over pictures, seed by seed.
    pub per_seed: Vec<f64>,
}

/// A metric of a method, by protocol id: for callers that watch one number.
///
/// # Errors
/// [`EvalError::Protocol`] where nothing of that name was computed.
pub fn find(summary: &[ProtocolSummary], protocol: &str, method: Method, metric: &str) -> Result<f64, EvalError> {
    summary
        .iter()
        .filter(|summary| summary.id == protocol)
        .flat_map(|summary| &summary.methods)
        .find(|summary| summary.method == method)
        .and_then(|summary| summary.metrics.get(metric))
        .map(|spread| spread.mean)
        .ok_or_else(|| EvalError::Protocol {
            name: protocol.into(),
            problem: format!("has no `{metric}` of that method"),
        })
}
