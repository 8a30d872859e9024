//! `quarantine`: samples that failed, kept beside every dataset.

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::{Row, field};
use crate::ids::SampleId;

/// A sample that left by the side door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantineRow {
    /// The stage that gave it up.
    pub stage: String,
    /// Its shard.
    pub shard: u32,
    /// What the user would call it: a file, a prompt.
    pub item: String,
    /// Its name, where it got that far.
    pub sample_id: Option<SampleId>,
    /// Class of the failure, e.g. `unreadable-image`.
    pub error_class: String,
    /// How often it was tried.
    pub attempt: u32,
    /// The error, in words.
    pub message: String,
    /// References to the inputs, enough to try again.
    pub inputs: String,
}

impl Row for QuarantineRow {
    const KIND: &'static str = "quarantine";

    fn fields() -> Vec<Field> {
        vec![
            field("stage", DataType::Utf8),
            field("shard", DataType::UInt32),
            field("item", DataType::Utf8),
            Field::new("sample_id", DataType::Utf8, true),
            field("error_class", DataType::Utf8),
            field("attempt", DataType::UInt32),
            field("message", DataType::Utf8),
            field("inputs", DataType::Utf8),
        ]
    }
}
