//! Numbers with what they were made of.

use std::collections::BTreeMap;
use std::fmt;

use glass_metrics::MeanSd;
use glass_schemas::spec::pictures::PictureMetricsSpec;
use serde::{Deserialize, Serialize};

use super::networks::Networks;

/// Everything that was computed about a set of drawn pictures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The settings, defaults included.
    pub settings: PictureMetricsSpec,
    /// sha256 of the weights of every network.
    pub digests: BTreeMap<String, String>,
    /// The numbers.
    pub scores: Vec<Score>,
}

/// One number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Score {
    /// What it is of, where a report is about several sets of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Its name.
    pub metric: String,
    /// Not a number of JSON where it is infinite.
    pub value: Option<f64>,
    /// Standard deviation: over pairs of pictures, or over subsets.
    pub sd: Option<f64>,
    /// Drawn pictures.
    pub pictures: u64,
    /// Real pictures, where they are a set of their own.
    pub real: Option<u64>,
    /// Number of subsets, and pictures in each.
    pub subsets: Option<[usize; 2]>,
    /// The network it was measured in.
    pub network: Option<String>,
    /// What has to be said beside it.
    pub note: Option<String>,
}

impl Report {
    pub(super) fn new(settings: &PictureMetricsSpec, networks: &Networks) -> Self {
        Self { settings: settings.clone(), digests: networks.digests.clone(), scores: Vec::new() }
    }
}

impl Score {
    /// Of a set of drawn pictures.
    pub(super) fn of_set(metric: &str, value: f64, pictures: u64, networks: &Networks) -> Self {
        let features = networks.features.as_ref();
        Self {
            of: None,
            metric: metric.to_owned(),
            value: Some(value).filter(|value| value.is_finite()),
            sd: None,
            pictures,
            real: None,
            subsets: None,
            network: features.map(super::FeatureNetwork::describe),
            note: features.and_then(super::FeatureNetwork::note).map(str::to_owned),
        }
    }

    /// The mean over pairs of pictures.
    pub(super) fn of_pairs(metric: &str, value: f64, mean: MeanSd) -> Self {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        Self {
            of: None,
            metric: metric.to_owned(),
            value: finite(value),
            sd: finite(mean.sd),
            pictures: mean.count as u64,
            real: None,
            subsets: None,
            network: None,
            note: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:28} {:>12} {:>10} {:>8} {:>8}", "", "value", "sd", "pictures", "real")?;
        for score in &self.scores {
            let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
            let name = match &score.of {
                Some(of) => format!("{of}: {}", score.metric),
                None => score.metric.clone(),
            };
            let real = score.real.map_or_else(String::new, |real| real.to_string());
            write!(
                f,
                "{name:28} {:>12} {:>10} {:>8} {real:>8}",
                number(score.value),
                number(score.sd),
                score.pictures
            )?;
            let notes = [score.network.as_deref(), score.note.as_deref()];
            let notes: Vec<&str> = notes.into_iter().flatten().collect();
            match notes.is_empty() {
                true => writeln!(f)?,
                false => writeln!(f, "  {}", notes.join("; "))?,
            }
        }
        Ok(())
    }
}
