//! What can go wrong in training, by what the caller can do about it.

use std::path::PathBuf;

use glass_schemas::spec::trainer::Sockets;

/// Result of the trainer's functions.
pub type Result<T, E = TrainerError> = std::result::Result<T, E>;

/// An error of the trainer.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The run spec asks for something that cannot be.
    #[error("`{field}`: {message}")]
    Spec {
        /// The key in the run spec.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Upstream data does not fit the run.
    #[error("dataset `{dataset}`: {message}")]
    Data {
        /// The dataset's id.
        dataset: String,
        /// What is wrong with it.
        message: String,
    },
    /// A stored part of a run cannot be read or written.
    #[error("{part}: {message}")]
    State {
        /// The object or part.
        part: String,
        /// What is wrong with it.
        message: String,
    },
    /// A checkpoint made elsewhere cannot be used.
    #[error("checkpoint `{}` {message}", path.display())]
    Release {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A run of one method was given with the spec of another.
    #[error("`runs/{run}/RUN.json` is a run of {found}, the spec says {asked}: {}", listed(differences))]
    Method {
        /// The run.
        run: String,
        /// What it was trained as.
        found: Box<Sockets>,
        /// What the spec asks for.
        asked: Box<Sockets>,
        /// The keys that differ, with the run's and the spec's kind.
        differences: Vec<(&'static str, String, String)>,
    },
    /// The loss is not a number any more.
    #[error("the loss of step {step} is {value}")]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        value: f32,
    },
    /// A local file cannot be read or written.
    #[error("`{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store does not answer as it should.
    #[error(transparent)]
    Dataset(#[from] glass_dataset::DatasetError),
    /// Real images, or what is said of them, cannot be read.
    #[error(transparent)]
    Images(#[from] crate::data::annotated::DataError),
    /// A document or an id cannot be read.
    #[error(transparent)]
    Schema(#[from] glass_schemas::SchemaError),
    /// Matching was given numbers that do not fit.
    #[error(transparent)]
    Metrics(#[from] glass_metrics::MetricsError),
    /// A pretrained network cannot be loaded.
    #[error(transparent)]
    Nets(#[from] glass_nets::NetsError),
}

impl TrainerError {
    /// Whether the user's input has to change: the run spec, or the data it names.
    pub fn is_user_input(&self) -> bool {
        match self {
            Self::Spec { .. }
            | Self::Data { .. }
            | Self::Images(_)
            | Self::Release { .. }
            | Self::Method { .. }
            | Self::Nets(_) => true,
            Self::Dataset(error) => error.is_user_input(),
            _ => false,
        }
    }

    /// Advice for the user, where there is some.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Images(error) => error.hint(),
            Self::Dataset(error) => error.hint(),
            Self::Method { .. } => {
                Some("give the spec, or the `method`, that the run was trained with; RUN.json beside it says all".into())
            }
            Self::Nets(error) => Some(error.hint().unwrap_or("check the path and the file").to_owned()),
            Self::Release { .. } => Some(
                "known are folders of GLASS and Latent Slot Diffusion (with `multiheadstevesa/`) and safetensors files of \
                 SPOT and DINOSAUR; `glassctl models convert FILE --key model` (`--key state_dict` for DINOSAUR) makes \
                 those; what they do not say, the run spec says: see `manifests/baselines`"
                    .into(),
            ),
            _ => None,
        }
    }

    /// Wraps an error of a local file.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Wraps an error of a stored part.
    pub(crate) fn state(part: &str, message: impl std::fmt::Display) -> Self {
        Self::State { part: part.to_owned(), message: message.to_string() }
    }
}

/// Keys and kinds in a line.
fn listed(differences: &[(&'static str, String, String)]) -> String {
    let one = |(key, found, asked): &(&str, String, String)| format!("`trainer.{key}` is `{found}`, not `{asked}`");
    differences.iter().map(one).collect::<Vec<_>>().join(", ")
}
