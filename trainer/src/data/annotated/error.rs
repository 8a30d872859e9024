use std::path::{Path, PathBuf};

use glass_dataset::DatasetError;
use glass_metrics::MetricsError;
use glass_nets::NetsError;
use thiserror::Error;

/// What can be wrong with annotated images; every variant is the user's to mend.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A store does not answer as it should.
    #[error(transparent)]
    Store(#[from] DatasetError),
    /// A field of a file that contradicts the format, or another file.
    #[error("`{}`: `{field}` {problem}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field at fault.
        field: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// An annotation file that is not JSON of the expected shape.
    #[error("`{}` is not a COCO annotation file", path.display())]
    Json {
        /// The annotation file.
        path: PathBuf,
        /// Line, column and field.
        source: serde_json::Error,
    },
    /// A picture that cannot be decoded.
    #[error("picture `{}` cannot be used", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NetsError,
    },
    /// A picture that is not the one the annotations were made for.
    #[error("picture `{}` is {found} pixels, its entry in `{}` says {expected}", path.display(), annotations.display())]
    PictureSize {
        /// The picture.
        path: PathBuf,
        /// Where the other size comes from.
        annotations: PathBuf,
        /// Width × height of the picture.
        found: String,
        /// Width × height that its entry says.
        expected: String,
    },
    /// A set that cannot be opened as what it is said to be.
    #[error("`{uri}` {problem}")]
    Format {
        /// What was to be opened.
        uri: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// A metric refused its input.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Result of reading annotated images.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

impl DataError {
    /// Advice for the user, where there is some.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Json { .. } => Some(
                "a file that ends too early was not written or copied to its end; \
                 `images`, `annotations` and `categories` are needed, as in COCO's instances_val2017.json"
                    .into(),
            ),
            Self::Field { hint, .. } | Self::Format { hint, .. } => Some(hint.clone()),
            Self::File { .. } => Some("check the path and the permissions".into()),
            Self::PictureSize { .. } => {
                Some("pictures and annotations must come from the same release of the data".into())
            }
            Self::Picture { source, .. } => Some(
                source
                    .hint()
                    .unwrap_or("unpack or copy the picture again: it must be a whole JPEG, PNG or WebP")
                    .into(),
            ),
            Self::Store(_) | Self::Metrics(_) => None,
        }
    }

    /// The file at fault and, where there is one, the field in it.
    pub fn place(&self) -> (Option<&Path>, Option<&str>) {
        match self {
            Self::Field { path, field, .. } => (Some(path), Some(field)),
            Self::File { path, .. }
            | Self::Json { path, .. }
            | Self::Picture { path, .. }
            | Self::PictureSize { path, .. } => (Some(path), None),
            Self::Store(_) | Self::Format { .. } | Self::Metrics(_) => (None, None),
        }
    }

    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

/// What becomes of faults: the first one ends an evaluation or a training, all of them are wanted by a check.
#[derive(Debug)]
pub enum Faults {
    /// The first is returned.
    Refuse,
    /// All are kept, and what is at fault is left out.
    Collect(Vec<DataError>),
}

impl Faults {
    /// Takes a fault.
    ///
    /// # Errors
    /// The fault itself, where faults are refused.
    pub fn push(&mut self, error: DataError) -> Result<()> {
        match self {
            Self::Refuse => Err(error),
            Self::Collect(errors) => {
                errors.push(error);
                Ok(())
            }
        }
    }

    /// The value, or its fault taken.
    ///
    /// # Errors
    /// As [`Faults::push`].
    pub fn take<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.push(error).map(|()| None),
        }
    }
}
