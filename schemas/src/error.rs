//! The one error of this crate.

use std::path::PathBuf;

/// What can be wrong with a document, a table or an identifier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A spec file could not be read from disk.
    #[error("cannot read the run spec `{}`", path.display())]
    ReadSpec {
        /// The file asked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A spec file is not valid: syntax, an unknown key, a value out of range.
    #[error("invalid run spec `{origin}`: {message}")]
    InvalidSpec {
        /// File name, or what stands for one.
        origin: String,
        /// What is wrong, naming table and key.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// An identifier does not have the form it must have.
    #[error("`{value}` is not a {expected}")]
    InvalidId {
        /// The text found.
        value: String,
        /// The form expected.
        expected: &'static str,
    },
    /// A table lacks a column, or the column has another type.
    #[error("column `{column}` of a {kind} table: {message}")]
    Column {
        /// Kind of dataset.
        kind: &'static str,
        /// The column at fault.
        column: String,
        /// What was expected and found.
        message: String,
    },
    /// Arrow refused to build or read a batch.
    #[error("arrow refused a {kind} table")]
    Arrow {
        /// Kind of dataset.
        kind: &'static str,
        /// Arrow's own words.
        source: arrow::error::ArrowError,
    },
}

impl SchemaError {
    /// Advice for the user, where there is some.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::InvalidSpec { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}
