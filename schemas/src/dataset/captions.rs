//! `captions`: one row per real image.

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::common::class_list;
use super::{ClassLabel, Row, field, list};
use crate::ids::{Digest, SampleId};

/// A real image, what the captioner says of it and the prompt made from that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaptionRow {
    /// Name of the real image, from its bytes.
    pub sample_id: SampleId,
    /// Where it was read, relative to the source's root.
    pub source_uri: String,
    /// SHA-256 of its bytes.
    pub source_digest: Digest,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The caption, trimmed.
    pub caption: String,
    /// Its classes, each once, in the order of first mention.
    pub classes: Vec<ClassLabel>,
    /// `caption` or `ground-truth`.
    pub class_source: String,
    /// What is odd about the caption: `empty`, `repeated-words`, `cut-off`.
    pub flags: Vec<String>,
    /// `"{caption}; {classes}"`, what the generator draws.
    pub prompt: String,
}

impl Row for CaptionRow {
    const KIND: &'static str = "captions";

    fn fields() -> Vec<Field> {
        vec![
            field("sample_id", DataType::Utf8),
            field("source_uri", DataType::Utf8),
            field("source_digest", DataType::Utf8),
            field("width", DataType::UInt32),
            field("height", DataType::UInt32),
            field("caption", DataType::Utf8),
            field("classes", class_list()),
            field("class_source", DataType::Utf8),
            field("flags", list(DataType::Utf8)),
            field("prompt", DataType::Utf8),
        ]
    }
}
