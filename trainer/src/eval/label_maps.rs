//! `label-maps.parquet`: what was segmented, so that it can be looked at and judged again without a network.
//!
//! One row a picture and method: the first seed's labels on the square of the first protocol, as a grey PNG (`mask`), in
//! the columns that `trainer evaluate --masks` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field, Schema};
use glass_metrics::{LabelMap, Protocol};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use png::{BitDepth, ColorType, Decoder, Encoder};

use super::EvalError;
use super::run::Row;

/// Name of the file beside `per-image.parquet`.
pub const FILE: &str = "label-maps.parquet";
/// Rows written at once.
const ROWS_AT_ONCE: usize = 512;
/// Where the file keeps the rules of its squares.
const PROTOCOL: &str = "glass.protocol";

/// Writes the table, row group by row group.
pub struct LabelMapTable<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
    image_id: Int64Builder,
    image: StringBuilder,
    method: StringBuilder,
    seed: UInt64Builder,
    mask: BinaryBuilder,
    rows: usize,
}

impl<W: Write + Send> LabelMapTable<W> {
    /// An empty table in `target`, for labels on the square of `protocol`.
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn new(target: W, protocol: &Protocol) -> Result<Self, EvalError> {
        let rules = serde_json::to_string(protocol).map_err(table)?;
        let fields = vec![
            Field::new("image_id", DataType::Int64, false),
            Field::new("image", DataType::Utf8, false),
            Field::new("method", DataType::Utf8, false),
            Field::new("seed", DataType::UInt64, false),
            Field::new("mask", DataType::Binary, false),
        ];
        let schema = Arc::new(Schema::new(fields).with_metadata([(PROTOCOL.to_owned(), rules)]));
        // PNG files are packed already.
        let properties = WriterProperties::builder().set_compression(Compression::UNCOMPRESSED).build();
        Ok(Self {
            writer: ArrowWriter::try_new(target, Arc::clone(&schema), Some(properties)).map_err(table)?,
            schema,
            image_id: Int64Builder::new(),
            image: StringBuilder::new(),
            method: StringBuilder::new(),
            seed: UInt64Builder::new(),
            mask: BinaryBuilder::new(),
            rows: 0,
        })
    }

    /// Adds the labels of a row, where it carries some.
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn push(&mut self, row: &Row<'_>) -> Result<(), EvalError> {
        let Some(labels) = &row.labels else { return Ok(()) };
        self.image_id.append_value(row.picture.id);
        self.image.append_value(&row.picture.name);
        self.method.append_value(row.method.as_str());
        self.seed.append_value(row.seed);
        self.mask.append_value(encode(labels)?);
        self.rows += 1;
        if self.rows >= ROWS_AT_ONCE { self.flush() } else { Ok(()) }
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
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.image_id.finish()),
            Arc::new(self.image.finish()),
            Arc::new(self.method.finish()),
            Arc::new(self.seed.finish()),
            Arc::new(self.mask.finish()),
        ];
        self.rows = 0;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(table)?;
        self.writer.write(&batch).map_err(table)?;
        self.writer.flush().map_err(table)
    }
}

/// Stored labels of some pictures.
#[derive(Debug)]
pub struct StoredMaps {
    /// The rules of their square.
    pub protocol: Protocol,
    /// By name of the picture.
    pub maps: BTreeMap<String, LabelMap>,
}

/// Reads the labels of the pictures `wanted`, of one method; `None` takes the only one there is.
///
/// # Errors
/// [`EvalError::File`], [`EvalError::Given`].
pub fn read(path: &Path, wanted: &BTreeSet<String>, method: Option<&str>) -> Result<StoredMaps, EvalError> {
    let refuse = |problem: String| EvalError::Given {
        path: path.to_owned(),
        field: "the table".into(),
        problem,
        hint: "give a label-maps.parquet of `trainer evaluate`, or what its --label-maps wrote".into(),
    };
    let file = File::open(path).map_err(EvalError::read(path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| refuse(format!("is no readable Parquet: {error}")))?;
    let rules = builder.schema().metadata().get(PROTOCOL).cloned();
    let rules = rules.ok_or_else(|| refuse("does not say the rules of its squares".into()))?;
    let protocol = serde_json::from_str(&rules).map_err(|error| refuse(format!("names no protocol: {error}")))?;
    let reader = builder.build().map_err(|error| refuse(error.to_string()))?;
    let mut maps = BTreeMap::new();
    for batch in reader {
        let batch = batch.map_err(|error| refuse(format!("is damaged: {error}")))?;
        let column = |name: &str, kind: DataType| {
            let found = batch.column_by_name(name).filter(|column| *column.data_type() == kind);
            found.ok_or_else(|| refuse(format!("has no column `{name}`")))
        };
        let images = column("image", DataType::Utf8)?.as_string::<i32>();
        let methods = column("method", DataType::Utf8)?.as_string::<i32>();
        let masks = column("mask", DataType::Binary)?.as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let image = images.value(row);
            if !wanted.contains(image) || method.is_some_and(|method| method != methods.value(row)) {
                continue;
            }
            let map = decode(masks.value(row)).map_err(|problem| refuse(format!("of image `{image}` {problem}")))?;
            if maps.insert(image.to_owned(), map).is_some() {
                return Err(refuse(format!("has several methods for image `{image}`: choose one with --method")));
            }
        }
    }
    Ok(StoredMaps { protocol, maps })
}

/// 8 bits a label where that is enough, else 16.
fn encode(labels: &LabelMap) -> Result<Vec<u8>, EvalError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, labels.width() as u32, labels.height() as u32);
    encoder.set_color(ColorType::Grayscale);
    let narrow: Option<Vec<u8>> = labels.labels().iter().map(|&label| u8::try_from(label).ok()).collect();
    let (depth, values) = match narrow {
        Some(values) => (BitDepth::Eight, values),
        None => (BitDepth::Sixteen, labels.labels().iter().flat_map(|label| label.to_be_bytes()).collect()),
    };
    encoder.set_depth(depth);
    let mut writer = encoder.write_header().map_err(table)?;
    writer.write_image_data(&values).map_err(table)?;
    writer.finish().map_err(table)?;
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<LabelMap, String> {
    let mut reader = Decoder::new(Cursor::new(bytes)).read_info().map_err(|error| error.to_string())?;
    let mut buffer = vec![0; reader.output_buffer_size().ok_or("is too large")?];
    let frame = reader.next_frame(&mut buffer).map_err(|error| error.to_string())?;
    let values = &buffer[..frame.buffer_size()];
    let labels = match (frame.color_type, frame.bit_depth) {
        (ColorType::Grayscale, BitDepth::Eight) => values.iter().map(|&value| u16::from(value)).collect(),
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            values.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
        }
        _ => return Err("is no grey label map".into()),
    };
    LabelMap::new(frame.width as usize, frame.height as usize, labels).map_err(|error| error.to_string())
}

fn table(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EvalError {
    EvalError::Table(error.into())
}
