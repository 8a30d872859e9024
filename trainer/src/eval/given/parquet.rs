//! Label maps in Parquet: a column that names the picture and a column of PNG files.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchReader};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{Content, Given, Missing, Source, settle, stem};
use crate::eval::EvalError;
use crate::eval::annotations::{Annotations, Picture};

/// Columns that name a picture, the first that is there: an id of the annotation file, a file name or its stem.
const NAMES: [&str; 5] = ["image_id", "file_name", "image", "name", "sample_id"];
/// Rows decoded at once.
const ROWS: usize = 64;

/// Reads row by row; the order of rows is free.
pub fn open<'a>(path: &Path, annotations: &'a Annotations, missing: Missing) -> Result<Source<'a>, EvalError> {
    let file = File::open(path).map_err(EvalError::read(path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.with_batch_size(ROWS).build())
        .map_err(|error| refuse(path, "the file".into(), format!("is no readable Parquet: {error}")))?;
    let schema = reader.schema();
    let by = NAMES.into_iter().find(|name| schema.field_with_name(name).is_ok());
    let by = by.ok_or_else(|| refuse(path, "the table".into(), format!("has no column {NAMES:?}")))?;
    if schema.field_with_name("mask").is_err() {
        return Err(refuse(path, "the table".into(), "has no column `mask`".into()));
    }
    let mut places = HashMap::new();
    for (index, picture) in annotations.pictures().iter().enumerate() {
        if by == "image_id" {
            places.insert(picture.id.to_string(), index);
        } else {
            places.insert(stem(&picture.name).to_owned(), index);
            places.insert(picture.name.clone(), index);
        }
    }
    let seen = vec![false; annotations.pictures().len()];
    Ok(Box::new(Rows {
        path: path.to_owned(),
        reader,
        by,
        places,
        annotations,
        missing,
        seen,
        row: 0,
        batch: Vec::new(),
    }))
}

struct Rows<'a> {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    by: &'static str,
    places: HashMap<String, usize>,
    annotations: &'a Annotations,
    missing: Missing,
    seen: Vec<bool>,
    row: usize,
    batch: Vec<(String, Vec<u8>)>,
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Given<'a>, EvalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((name, bytes)) = self.batch.pop() else {
                match self.reader.next() {
                    Some(batch) => {
                        let batch = batch.map_err(|error| error.to_string()).and_then(|batch| self.columns(&batch));
                        match batch {
                            Ok(batch) => self.batch = batch,
                            Err(problem) => return Some(Err(refuse(&self.path, format!("row {}", self.row), problem))),
                        }
                        continue;
                    }
                    None => return self.absent().map(Err),
                }
            };
            let place = format!("row {}", self.row);
            self.row += 1;
            // Rows of other pictures are no mistake: a table of a whole set serves a part of it.
            let Some(&index) = self.places.get(name.as_str()).or_else(|| self.places.get(stem(&name))) else {
                continue;
            };
            if std::mem::replace(&mut self.seen[index], true) {
                return Some(Err(refuse(&self.path, place, format!("names `{name}` a second time"))));
            }
            let picture: &Picture = &self.annotations.pictures()[index];
            return Some(Ok(Given { picture, content: Content::Png(bytes, place) }));
        }
    }
}

impl Rows<'_> {
    /// Names and PNG files of a batch, the first row last.
    fn columns(&self, batch: &RecordBatch) -> Result<Vec<(String, Vec<u8>)>, String> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("has no column `{name}`"));
        let names = cast(column(self.by)?, &DataType::Utf8).map_err(|error| error.to_string())?;
        let masks = png_files(column("mask")?)?;
        let (names, masks) = (names.as_string::<i32>(), masks.as_binary::<i32>());
        let rows = (0..batch.num_rows()).rev().filter(|&row| names.is_valid(row) && masks.is_valid(row));
        Ok(rows.map(|row| (names.value(row).to_owned(), masks.value(row).to_vec())).collect())
    }

    /// Once, at the end: the pictures that no row named.
    fn absent(&mut self) -> Option<EvalError> {
        let pictures = self.annotations.pictures();
        let seen = std::mem::take(&mut self.seen);
        let unseen = pictures.iter().zip(seen).filter(|(_, seen)| !seen);
        let absent: Vec<&Picture> = unseen.map(|(picture, _)| picture).collect();
        settle(self.missing, &self.path, &absent, pictures.len(), |_| "a row of it".into()).err()
    }
}

/// PNG files as bytes, or in the layout that the `datasets` library gives to images.
fn png_files(column: &ArrayRef) -> Result<ArrayRef, String> {
    let bytes = match column.data_type() {
        DataType::Struct(_) => column.as_struct().column_by_name("bytes").ok_or("`mask` has no field `bytes`")?,
        _ => column,
    };
    cast(bytes, &DataType::Binary).map_err(|error| format!("`mask` holds no PNG files: {error}"))
}

fn refuse(path: &Path, field: String, problem: String) -> EvalError {
    EvalError::Given {
        path: path.to_owned(),
        field,
        problem,
        hint: "a table has a column `image_id` or `file_name` and a column `mask` of PNG files".into(),
    }
}
