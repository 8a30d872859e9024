use std::path::PathBuf;

use glass_metrics::MetricsError;
use glass_nets::NetsError;
use thiserror::Error;

use crate::data::annotated::DataError;

/// What can go wrong when slots are evaluated, named by what the user can do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Annotated images that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Masks made elsewhere that cannot be judged.
    #[error("`{}`: {field} {problem}", path.display())]
    Given {
        /// The file or folder.
        path: PathBuf,
        /// What of it is at fault.
        field: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A result that cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The same, where what the system said names the file already.
    #[error(transparent)]
    Unfinished(std::io::Error),
    /// A protocol that is neither shipped nor a readable file.
    #[error("protocol `{name}`: {problem}")]
    Protocol {
        /// Id or path, as the spec names it.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// Values of the spec that do not fit each other or the networks.
    #[error("`evaluation.{key}` {problem}")]
    Spec {
        /// Key of the `[evaluation]` table.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// A flag that does not fit the others.
    #[error("`--{flag}` {problem}")]
    Flag {
        /// Its name.
        flag: &'static str,
        /// Why it does not.
        problem: String,
    },
    /// A tensor that does not have the shape it should have.
    #[error("{0}")]
    Shape(String),
    /// A network cannot be loaded or refuses its input.
    #[error(transparent)]
    Nets(#[from] NetsError),
    /// A signal asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A metric refused its input.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A table could not be written.
    #[error("cannot write the per-image table")]
    Table(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A picture or its index could not be encoded.
    #[error("cannot encode a picture of the report")]
    Drawing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl EvalError {
    /// Advice for the user, where there is some.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Protocol { .. } => Some(format!(
                "shipped protocols are {}; anything else must be the path of a `.toml` file as in `manifests/eval`",
                glass_metrics::Protocol::SHIPPED.map(|id| format!("`{id}`")).join(", ")
            )),
            Self::Data(error) => error.hint(),
            Self::Given { hint, .. } => Some(hint.clone()),
            Self::Flag { .. } => Some("leave it out, or see `--help`".into()),
            Self::Write { .. } | Self::Unfinished(_) => Some("the folder must be there and writable".into()),
            Self::File { .. } => Some("check the path and the permissions".into()),
            Self::Nets(source) => source.hint().map(str::to_owned),
            _ => None,
        }
    }

    /// Whether the user's input has to change, not this program.
    pub fn is_user_input(&self) -> bool {
        !matches!(self, Self::Shape(_) | Self::Interrupted | Self::Metrics(_) | Self::Table(_) | Self::Drawing(_))
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
