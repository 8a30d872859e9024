//! Statistics of real pictures that are kept: mean and covariance of their features in a safetensors file.

use std::collections::HashMap;
use std::path::Path;

use glass_metrics::FeatureStatistics;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::networks::Networks;
use crate::eval::EvalError;

/// Keys of the file's metadata.
const NETWORK: &str = "network";
const DIGEST: &str = "weights_sha256";
const COUNT: &str = "pictures";

/// Mean and covariance of the features of real pictures, and the network they are of.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    statistics: FeatureStatistics,
    network: String,
    digest: String,
}

impl Reference {
    pub(super) fn new(statistics: FeatureStatistics, networks: &Networks) -> Self {
        let network = networks.features.as_ref().map_or_else(String::new, super::FeatureNetwork::describe);
        Self { statistics, network, digest: networks.digest() }
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
        let other = Self::new(self.statistics.clone(), networks);
        if (&other.network, &other.digest) == (&self.network, &self.digest) {
            return Ok(());
        }
        let problem = format!(
            "holds statistics of {} (weights {}), the pictures are compared in {} (weights {})",
            self.network,
            short(&self.digest),
            other.network,
            short(&other.digest)
        );
        Err(EvalError::Spec { key: "generation.metrics.reference", problem })
    }

    /// Writes the file whole or not at all: `mean` `[dim]` and `covariance` `[dim, dim]` in f64.
    ///
    /// # Errors
    /// [`EvalError::Write`], and where there are fewer than two pictures.
    pub fn save(&self, path: &Path) -> Result<(), EvalError> {
        let dim = self.statistics.dim();
        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (mean, covariance) = (bytes(self.statistics.mean()), bytes(&self.statistics.covariance()?));
        let view = |shape, bytes| TensorView::new(Dtype::F64, shape, bytes).map_err(|error| EvalError::Shape(error.to_string()));
        let views = [("mean", view(vec![dim], &mean)?), ("covariance", view(vec![dim, dim], &covariance)?)];
        let metadata = HashMap::from([
            (NETWORK.to_owned(), self.network.clone()),
            (DIGEST.to_owned(), self.digest.clone()),
            (COUNT.to_owned(), self.statistics.count().to_string()),
        ]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|error| EvalError::Shape(error.to_string()))?;
        let partial = path.with_extension("partial");
        std::fs::write(&partial, file).and_then(|()| std::fs::rename(&partial, path)).map_err(EvalError::write(path))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`EvalError::File`], and [`EvalError::Given`] where it is not such a file.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let bytes = std::fs::read(path).map_err(EvalError::read(path))?;
        Self::parse(&bytes).map_err(|problem| EvalError::Given {
            path: path.to_owned(),
            field: "the statistics".into(),
            problem,
            hint: "`trainer fidelity --save-statistics FILE` writes them".into(),
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
                Dtype::F64 => Ok(tensor.data().as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect::<Vec<f64>>()),
                other => Err(format!("hold `{name}` as {other:?}, expected F64")),
            }
        };
        let count = said(COUNT)?.parse().map_err(|_| format!("say `{COUNT}` that is no number"))?;
        let statistics = FeatureStatistics::from_parts(count, floats("mean")?, &floats("covariance")?);
        Ok(Self {
            statistics: statistics.map_err(|error| error.to_string())?,
            network: said(NETWORK)?,
            digest: said(DIGEST)?,
        })
    }
}

fn short(digest: &str) -> &str {
    digest.get(..16).unwrap_or(digest)
}
