//! A table's schema as a document: what `schemas/arrow/*.json` hold for readers in other languages.

use arrow::datatypes::{DataType, Field};
use serde_json::{Value, json};

use super::Row;

/// The schema of a table, its types by the names that pyarrow gives them. A list is
/// `{"list": field}`, a structure `{"struct": [field …]}`.
pub fn schema_document<R: Row>() -> Value {
    let fields: Vec<Value> = R::fields().iter().map(field).collect();
    json!({ "kind": R::KIND, "schema_version": crate::SCHEMA_VERSION, "fields": fields })
}

fn field(field: &Field) -> Value {
    json!({
        "name": field.name(),
        "type": data_type(field.data_type()),
        "nullable": field.is_nullable(),
    })
}

fn data_type(data_type: &DataType) -> Value {
    match data_type {
        DataType::Utf8 => json!("string"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Boolean => json!("bool"),
        DataType::List(element) => json!({ "list": field(element) }),
        DataType::LargeList(element) => json!({ "large_list": field(element) }),
        DataType::Struct(fields) => {
            let fields: Vec<Value> = fields.iter().map(|part| field(part)).collect();
            json!({ "struct": fields })
        }
        // `uint32`, `binary` …
        other => json!(other.to_string().to_lowercase()),
    }
}
