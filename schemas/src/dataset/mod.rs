//! One Arrow schema and one typed row per kind of dataset.
//!
//! The schema is written out by hand, field by field, because it is a public contract; rows are
//! converted by `serde_arrow`, which is told that schema and cannot drift from it silently.

mod attention;
mod captions;
mod common;
mod document;
mod generations;
mod masks;
mod quarantine;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::SchemaError;

pub use attention::{AttentionMap, AttentionRow, MapKind, Part};
pub use captions::CaptionRow;
pub use common::{ClassLabel, EncodedImage};
pub use document::schema_document;
pub use generations::GenerationRow;
pub use masks::{ClassQuality, MaskRow, UNCERTAIN};
pub use quarantine::QuarantineRow;

/// A row of a dataset.
pub trait Row: Serialize + DeserializeOwned + Clone {
    /// Name of the table in errors and metadata.
    const KIND: &'static str;

    /// The fields of the table, in order.
    fn fields() -> Vec<Field>;

    /// The table's schema, with the metadata other readers use.
    fn schema() -> SchemaRef {
        let fields = Self::fields();
        let metadata = common::table_metadata(Self::KIND, &fields);
        Arc::new(Schema::new_with_metadata(fields, metadata))
    }

    /// Rows as one batch.
    ///
    /// # Errors
    /// [`SchemaError::Column`] if a row does not fit the schema.
    fn encode(rows: &[Self]) -> Result<RecordBatch, SchemaError> {
        let fields: Fields = Self::fields().into();
        let arrays = serde_arrow::to_arrow(&fields, rows).map_err(|e| column(Self::KIND, &e))?;
        RecordBatch::try_new(Self::schema(), arrays).map_err(|source| SchemaError::Arrow { kind: Self::KIND, source })
    }

    /// The rows of a batch. The batch must hold every column of the schema.
    ///
    /// # Errors
    /// [`SchemaError::Column`] naming the column that is missing or of another type.
    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, SchemaError> {
        for field in Self::fields() {
            let found = batch.schema_ref().field_with_name(field.name());
            let found = found.map(|f| f.data_type().clone());
            let reads = |found: &DataType| common::same_values(found, field.data_type());
            if !found.as_ref().is_ok_and(reads) {
                return Err(SchemaError::Column {
                    kind: Self::KIND,
                    column: field.name().clone(),
                    message: match found {
                        Ok(found) => format!("expected {}, found {found}", field.data_type()),
                        Err(_) => "missing".to_owned(),
                    },
                });
            }
        }
        serde_arrow::from_record_batch(batch).map_err(|e| column(Self::KIND, &e))
    }
}

fn column(kind: &'static str, error: &serde_arrow::Error) -> SchemaError {
    // The library names the field within its message.
    SchemaError::Column { kind, column: "?".to_owned(), message: error.message().to_owned() }
}

/// A non-null field.
fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

/// A non-null list with non-null elements.
fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(field("element", element)))
}

/// A struct of non-null fields.
fn structure(fields: Vec<Field>) -> DataType {
    DataType::Struct(fields.into())
}
