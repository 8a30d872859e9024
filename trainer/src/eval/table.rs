//! The per-image table: one row a picture, method, seed and protocol, so that any other mean can be taken later.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int64Builder, RecordBatch, StringBuilder, UInt32Builder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema};
use glass_metrics::Protocol;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::run::Row;
use super::{EvalError, scores};

/// Rows held before they are compressed.
const ROWS_AT_ONCE: usize = 16 * 1024;

/// Writes the table, compressed as it grows.
pub struct ImageTable<W: Write + Send> {
    writer: ArrowWriter<W>,
    pending: Columns,
}

struct Columns {
    image_id: Int64Builder,
    image: StringBuilder,
    protocol: StringBuilder,
    method: StringBuilder,
    seed: UInt64Builder,
    segments: UInt32Builder,
    values: Vec<Float64Builder>,
    rows: usize,
}

impl<W: Write + Send> ImageTable<W> {
    /// An empty table in `target`.
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn new(target: W) -> Result<Self, EvalError> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let writer = ArrowWriter::try_new(target, schema(), Some(properties)).map_err(table)?;
        Ok(Self { writer, pending: Columns::new() })
    }

    /// Adds a row; `values` in the order of [`scores::columns`].
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn push(&mut self, row: &Row<'_>, protocol: &Protocol, values: &[Option<f64>]) -> Result<(), EvalError> {
        self.pending.push(row, protocol, values);
        if self.pending.rows >= ROWS_AT_ONCE { self.flush() } else { Ok(()) }
    }

    /// Closes the file.
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn finish(mut self) -> Result<W, EvalError> {
        self.flush()?;
        self.writer.into_inner().map_err(table)
    }

    fn flush(&mut self) -> Result<(), EvalError> {
        let batch = RecordBatch::try_new(schema(), self.pending.take()).map_err(table)?;
        self.writer.write(&batch).map_err(table)?;
        self.writer.flush().map_err(table)
    }
}

impl Columns {
    fn new() -> Self {
        Self {
            image_id: Int64Builder::new(),
            image: StringBuilder::new(),
            protocol: StringBuilder::new(),
            method: StringBuilder::new(),
            seed: UInt64Builder::new(),
            segments: UInt32Builder::new(),
            values: scores::columns().map(|_| Float64Builder::new()).collect(),
            rows: 0,
        }
    }

    fn push(&mut self, row: &Row<'_>, protocol: &Protocol, values: &[Option<f64>]) {
        self.image_id.append_value(row.picture.id);
        self.image.append_value(&row.picture.name);
        self.protocol.append_value(&protocol.id);
        self.method.append_value(row.method.as_str());
        self.seed.append_value(row.seed);
        self.segments.append_value(row.segments as u32);
        for (column, value) in self.values.iter_mut().zip(values) {
            column.append_option(*value);
        }
        self.rows += 1;
    }

    fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.image_id.finish()),
            Arc::new(self.image.finish()),
            Arc::new(self.protocol.finish()),
            Arc::new(self.method.finish()),
            Arc::new(self.seed.finish()),
            Arc::new(self.segments.finish()),
        ];
        arrays.extend(self.values.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        arrays
    }
}

fn schema() -> Arc<Schema> {
    let mut fields = vec![
        Field::new("image_id", DataType::Int64, false),
        Field::new("image", DataType::Utf8, false),
        Field::new("protocol", DataType::Utf8, false),
        Field::new("method", DataType::Utf8, false),
        Field::new("seed", DataType::UInt64, false),
        Field::new("segments", DataType::UInt32, false),
    ];
    fields.extend(scores::columns().map(|name| Field::new(name, DataType::Float64, true)));
    Arc::new(Schema::new(fields))
}

fn table(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EvalError {
    EvalError::Table(error.into())
}
