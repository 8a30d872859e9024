//! Samples that could not be made: they leave by the side door and are counted, never skipped.

use glass_schemas::dataset::QuarantineRow;
use glass_schemas::ids::{SampleId, ShardIndex};

/// Why a sample was put aside; stored as text in the quarantine table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorClass {
    /// The input's bytes could not be read or decoded (truncated, not an image, missing object).
    Unreadable,
    /// The input is sound but nothing this stage can take (size, format, missing class).
    Unsupported,
    /// A rule of the run spec put the sample aside. Never counts as a systematic failure.
    Rejected,
    /// The network or a later step produced NaN or infinity.
    NonFinite,
    /// Anything else that went wrong while this sample was computed.
    Failed,
}

impl ErrorClass {
    /// The name stored in quarantine rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Unsupported => "unsupported",
            Self::Rejected => "rejected",
            Self::NonFinite => "non-finite",
            Self::Failed => "failed",
        }
    }
}

impl ErrorClass {
    /// The class with this stored name.
    fn of_name(name: &str) -> Self {
        let known = [Self::Unreadable, Self::Unsupported, Self::Rejected, Self::NonFinite];
        known.into_iter().find(|class| class.as_str() == name).unwrap_or(Self::Failed)
    }
}

impl std::fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One sample that failed, with what is needed to find and retry it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Human name of the input: a URI or a sample id with its replicate.
    pub item: String,
    /// The sample's id, where it was known before the failure.
    pub sample_id: Option<SampleId>,
    /// The kind of failure.
    pub class: ErrorClass,
    /// One line: lower case, no full stop.
    pub message: String,
    /// The inputs needed to try again, as JSON or text; empty when `item` says it all.
    pub inputs: String,
}

impl Failure {
    /// A failure of `item` with neither sample id nor inputs; set the public fields for more.
    pub fn new(item: impl Into<String>, class: ErrorClass, message: impl ToString) -> Self {
        Self { item: item.into(), sample_id: None, class, message: message.to_string(), inputs: String::new() }
    }

    /// The same failure with the sample's id.
    #[must_use]
    pub fn with_sample(mut self, sample_id: SampleId) -> Self {
        self.sample_id = Some(sample_id);
        self
    }

    /// The same failure with the inputs needed to try again.
    #[must_use]
    pub fn with_inputs(mut self, inputs: impl Into<String>) -> Self {
        self.inputs = inputs.into();
        self
    }

    /// The failure that a row tells of.
    pub(crate) fn from_row(row: &QuarantineRow) -> Self {
        Self {
            item: row.item.clone(),
            sample_id: row.sample_id,
            class: ErrorClass::of_name(&row.error_class),
            message: row.message.clone(),
            inputs: row.inputs.clone(),
        }
    }

    /// The row that tells of it.
    pub(crate) fn into_row(self, stage: &str, shard: ShardIndex, attempt: u32) -> QuarantineRow {
        QuarantineRow {
            stage: stage.to_owned(),
            shard: shard.0,
            item: self.item,
            sample_id: self.sample_id,
            error_class: self.class.as_str().to_owned(),
            attempt,
            message: self.message,
            inputs: self.inputs,
        }
    }
}
