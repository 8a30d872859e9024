//! What several tables share.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::{field, list, structure};
use crate::SCHEMA_VERSION;

/// A class: its number in the vocabulary (from 1; 0 is the ground) and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassLabel {
    /// Number in the vocabulary; the pixel value in masks.
    pub id: u32,
    /// Name as it stands in prompts.
    pub name: String,
}

/// An encoded image in the layout the Hugging Face `datasets` library decodes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedImage {
    /// PNG, WebP or JPEG file contents.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// A file name for it; nothing is stored there.
    pub path: String,
}

pub(super) fn class_list() -> DataType {
    list(structure(vec![field("id", DataType::UInt32), field("name", DataType::Utf8)]))
}

/// A column of images. Nullable throughout, although no row leaves one out: `datasets` (5.2) takes a
/// struct for an image only if it and its fields are.
pub(super) fn image(name: &str) -> Field {
    Field::new(name, encoded_image(), true)
}

fn encoded_image() -> DataType {
    structure(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

/// Whether two types differ at most in what may be null: files of earlier builds did so in images.
pub(super) fn same_values(a: &DataType, b: &DataType) -> bool {
    let same = |a: &Field, b: &Field| a.name() == b.name() && same_values(a.data_type(), b.data_type());
    match (a, b) {
        (DataType::List(a), DataType::List(b)) | (DataType::LargeList(a), DataType::LargeList(b)) => {
            same_values(a.data_type(), b.data_type())
        }
        (DataType::Struct(a), DataType::Struct(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}

/// Metadata of a table: our version, and the feature types that `datasets` looks for.
pub(super) fn table_metadata(kind: &str, fields: &[Field]) -> HashMap<String, String> {
    let images = fields
        .iter()
        .filter(|field| *field.data_type() == encoded_image())
        .map(|field| (field.name().clone(), serde_json::json!({"_type": "Image"})));
    let features: serde_json::Map<_, _> = images.collect();
    let mut metadata = HashMap::from([
        ("glass.kind".to_owned(), kind.to_owned()),
        ("glass.schema_version".to_owned(), SCHEMA_VERSION.to_string()),
    ]);
    if !features.is_empty() {
        let info = serde_json::json!({"info": {"features": all_features(fields, features)}});
        metadata.insert("huggingface".to_owned(), info.to_string());
    }
    metadata
}

/// `datasets` wants every column listed as soon as one is, so the plain ones are listed too.
fn all_features(fields: &[Field], images: serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
    let features = fields.iter().map(|field| {
        let feature = match images.get(field.name()) {
            Some(image) => image.clone(),
            None => feature(field.data_type()),
        };
        (field.name().clone(), feature)
    });
    serde_json::Value::Object(features.collect())
}

fn feature(data_type: &DataType) -> serde_json::Value {
    let value = |dtype: &str| serde_json::json!({"dtype": dtype, "_type": "Value"});
    match data_type {
        DataType::Utf8 => value("string"),
        DataType::UInt32 => value("uint32"),
        DataType::UInt64 => value("uint64"),
        DataType::Float32 => value("float32"),
        DataType::Boolean => value("bool"),
        DataType::Binary => value("binary"),
        DataType::List(element) => {
            serde_json::json!({"feature": feature(element.data_type()), "_type": "List"})
        }
        DataType::LargeList(element) => {
            serde_json::json!({"feature": feature(element.data_type()), "_type": "LargeList"})
        }
        DataType::Struct(fields) => serde_json::Value::Object(
            fields.iter().map(|field| (field.name().clone(), feature(field.data_type()))).collect(),
        ),
        other => value(&other.to_string().to_lowercase()),
    }
}
