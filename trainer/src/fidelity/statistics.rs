//! Statistics of real pictures that are kept: mean and covariance of their features, in a safetensors file of ours or
//! in an `.npz` of pytorch-fid.

use std::collections::HashMap;
use std::path::Path;

use glass_metrics::FeatureStatistics;
use glass_stage::WholeFile;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::FeatureNetwork;
use super::networks::Networks;
use super::numpy::{MAGIC, statistics};
use crate::eval::EvalError;

/// Keys of the file's metadata.
const NETWORK: &str = "network";
const DIGEST: &str = "weights_sha256";
const COUNT: &str = "pictures";

/// Mean and covariance of the features of real pictures, and the network they are of.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    statistics: FeatureStatistics,
    /// None where the file does not say: pytorch-fid's.
    origin: Option<Origin>,
}

/// The network that features are of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    network: String,
    digest: String,
}

impl Origin {
    fn of(networks: &Networks) -> Self {
        let network = networks.features.as_ref().map_or_else(String::new, FeatureNetwork::describe);
        Self { network, digest: networks.digest() }
    }
}

impl Reference {
    pub(super) fn new(statistics: FeatureStatistics, networks: &Networks) -> Self {
        Self { statistics, origin: Some(Origin::of(networks)) }
    }

    /// Pictures behind them, where the file says.
    pub fn pictures(&self) -> Option<u64> {
        self.origin.as_ref().map(|_| self.statistics.count())
    }

    /// Mean, covariance and number.
    pub fn statistics(&self) -> &FeatureStatistics {
        &self.statistics
    }

    /// Refuses a network that these are not the statistics of.
    ///
    /// # Errors
    /// [`EvalError::Spec`] says which network they belong to.
    pub(super) fn check(&self, networks: &Networks) -> Result<(), EvalError> {
        let found = Origin::of(networks);
        let problem = match (&self.origin, &networks.features) {
            (Some(origin), _) if *origin == found => return Ok(()),
            (Some(origin), _) => format!(
                "holds statistics of {} (weights {}), the pictures are compared in {} (weights {})",
                origin.network,
                short(&origin.digest),
                found.network,
                short(&found.digest)
            ),
            // Which InceptionV3 it was cannot be told.
            (None, Some(network @ FeatureNetwork::Inception { .. })) if network.dim() == self.statistics.dim() => {
                return Ok(());
            }
            (None, Some(network)) => format!(
                "holds pytorch-fid's statistics of {} features, the pictures are compared in {} of {} features",
                self.statistics.dim(),
                found.network,
                network.dim()
            ),
            (None, None) => "holds pytorch-fid's statistics, and no InceptionV3 is named".to_owned(),
        };
        Err(EvalError::Spec { key: "generation.metrics.reference", problem })
    }

    /// Writes the file whole or not at all: `mean` `[dim]` and `covariance` `[dim, dim]` in f64.
    ///
    /// # Errors
    /// [`EvalError::Unfinished`], and where there are fewer than two pictures.
    pub fn save(&self, path: &Path) -> Result<(), EvalError> {
        let dim = self.statistics.dim();
        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (mean, covariance) = (bytes(self.statistics.mean()), bytes(&self.statistics.covariance()?));
        let view = |shape, bytes| {
            TensorView::new(Dtype::F64, shape, bytes).map_err(|error| EvalError::Shape(error.to_string()))
        };
        let views = [("mean", view(vec![dim], &mean)?), ("covariance", view(vec![dim, dim], &covariance)?)];
        let Some(origin) = &self.origin else {
            let problem = "are pytorch-fid's: what they are of is not known";
            return Err(EvalError::Spec { key: "generation.metrics.reference", problem: problem.into() });
        };
        let metadata = HashMap::from([
            (NETWORK.to_owned(), origin.network.clone()),
            (DIGEST.to_owned(), origin.digest.clone()),
            (COUNT.to_owned(), self.statistics.count().to_string()),
        ]);
        let file =
            safetensors::serialize(views, Some(metadata)).map_err(|error| EvalError::Shape(error.to_string()))?;
        WholeFile::write(path, file).map_err(EvalError::Unfinished)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`EvalError::File`], and [`EvalError::Given`] where it is not such a file.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let bytes = std::fs::read(path).map_err(EvalError::read(path))?;
        let parsed = match bytes.starts_with(MAGIC) {
            true => statistics(bytes).map(|statistics| Self { statistics, origin: None }),
            false => Self::parse(&bytes),
        };
        parsed.map_err(|problem| EvalError::Given {
            path: path.to_owned(),
            field: "the statistics".into(),
            problem,
            hint: "`trainer fidelity --save-statistics FILE` writes them, and pytorch-fid `--save-stats`".into(),
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let readable = |error: safetensors::SafeTensorError| format!("cannot be read: {error}");
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(readable)?;
        let file = SafeTensors::deserialize(bytes).map_err(readable)?;
        let said = |key: &str| {
            let said = metadata.metadata().as_ref().and_then(|said| said.get(key));
            said.cloned().ok_or_else(|| format!("do not say `{key}`"))
        };
        let floats = |name: &str| {
            let tensor = file.tensor(name).map_err(|_| format!("have no tensor `{name}`"))?;
            match tensor.dtype() {
                Dtype::F64 => {
                    Ok(tensor.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect::<Vec<f64>>())
                }
                other => Err(format!("hold `{name}` as {other:?}, expected F64")),
            }
        };
        let count = said(COUNT)?.parse().map_err(|_| format!("say `{COUNT}` that is no number"))?;
        let statistics = FeatureStatistics::from_parts(count, floats("mean")?, &floats("covariance")?);
        Ok(Self {
            statistics: statistics.map_err(|error| error.to_string())?,
            origin: Some(Origin { network: said(NETWORK)?, digest: said(DIGEST)? }),
        })
    }
}

fn short(digest: &str) -> &str {
    digest.get(..16).unwrap_or(digest)
}
