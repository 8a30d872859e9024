//! Parquet with image columns, as the Hugging Face hub holds image data.
//!
//! A row is read when it is asked for: of a table its footer stays in memory, nothing else. A table in an object store
//! is first copied into an unlinked file of this machine, because rows are asked for one by one.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::Bytes;
use glass_metrics::LabelMap;
use glass_schemas::spec::ImagesSpec;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use super::error::{DataError, Faults, Result};
use super::files::{Access, Files};
use super::folders::{some, stem};
use super::label_png::{HEAD, label_map, size_in_head};
use super::maps::{MapSource, Maps, fault};
use super::open::{Opened, number};
use super::picture::Picture;
use super::{Annotations, Labels, PictureSource};

/// Rows read at once when sizes are taken.
const ROWS: usize = 64;

/// The columns of a set.
#[derive(Clone)]
struct Columns {
    image: String,
    instances: String,
    classes: String,
}

/// The tables of a set.
struct Tables {
    files: Files,
    tables: Vec<Table>,
    columns: Columns,
    /// Copies of the tables of an object store that were read last.
    copies: Mutex<Vec<(usize, Arc<File>)>>,
}

struct Table {
    key: String,
    metadata: ArrowReaderMetadata,
    /// The first row of it in the set.
    start: usize,
    rows: usize,
}

/// Opens the tables below `uri` whose names begin with `split`.
pub(super) fn open(spec: &ImagesSpec, access: &Access, faults: &mut Faults) -> Result<Opened> {
    let files = Files::open(&spec.uri, access)?;
    let ours = |key: &str| {
        let name = key.rsplit('/').next().unwrap_or(key);
        key.ends_with(".parquet") && name.starts_with(&spec.split)
    };
    let keys: Vec<(String, u64)> = files.list("")?.into_iter().filter(|(key, _)| ours(key)).collect();
    let columns = Columns {
        image: spec.image_column.clone(),
        instances: spec.instance_column.clone(),
        classes: spec.class_column.clone(),
    };
    let mut tables = Tables { files, tables: Vec::new(), columns, copies: Mutex::default() };
    let mut listing: Vec<String> = keys.iter().map(|(key, size)| format!("{key}\t{size}\n")).collect();
    listing.push(format!("{}\t{}\t{}\n", spec.image_column, spec.instance_column, spec.class_column));
    for (key, _) in keys {
        let table = tables.table(key);
        if let Some(table) = faults.take(table)? {
            tables.tables.push(table);
        }
    }
    let limit = spec.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut pictures = tables.pictures(limit, faults)?;
    number(&mut pictures);
    let name = tables.files.name("");
    some(&pictures, &name, "tables end in .parquet and begin with `split`", faults)?;
    let tables = Arc::new(tables);
    let annotations = Annotations {
        name,
        pictures,
        classes: Vec::new(),
        labels: Labels::Maps { source: Box::new(TableMaps { tables: tables.clone() }), void: spec.void },
    };
    Ok(Opened { annotations, source: Box::new(TablePictures { tables }), listing })
}

impl Tables {
    fn table(&self, key: String) -> Result<Table> {
        let path = self.files.name(&key);
        let refuse = |problem: String| refuse(&path, "the table", problem);
        let file = self.file(self.tables.len(), &key)?;
        let metadata = ArrowReaderMetadata::load(&*file, Default::default())
            .map_err(|error| refuse(format!("is no readable Parquet: {error}")))?;
        for column in [&self.columns.image, &self.columns.instances, &self.columns.classes] {
            if !column.is_empty() && metadata.schema().field_with_name(column).is_err() {
                let names: Vec<&str> = metadata.schema().fields().iter().map(|field| field.name().as_str()).collect();
                return Err(refuse(format!("has no column `{column}`, only {names:?}")));
            }
        }
        let start = self.tables.last().map_or(0, |last| last.start + last.rows);
        let rows = usize::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        Ok(Table { key, metadata, start, rows })
    }

    /// A table as a file of this machine.
    fn file(&self, table: usize, key: &str) -> Result<Arc<File>> {
        let path = self.files.name(key);
        if matches!(self.files, Files::Folder(_)) {
            return Ok(Arc::new(File::open(&path).map_err(DataError::read(&path))?));
        }
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = copies.iter().find(|(copied, _)| *copied == table) {
            return Ok(file.clone());
        }
        let file = Arc::new(copy(&self.files.read(key)?)?);
        // Pictures are mostly asked for in order, at a border of two tables from both.
        copies.truncate(1);
        copies.insert(0, (table, file.clone()));
        Ok(file)
    }

    /// Some rows of some columns.
    fn rows(&self, start: usize, count: usize, columns: &[&str]) -> Result<RecordBatch> {
        let place = self.tables.partition_point(|table| table.start <= start).saturating_sub(1);
        let table = &self.tables[place];
        let path = self.files.name(&table.key);
        let row = start - table.start;
        let refuse =
            |error: &dyn std::fmt::Display| refuse(&path, &format!("row {row}"), format!("cannot be read: {error}"));
        let file = self.file(place, &table.key)?;
        let file = file.try_clone().map_err(DataError::read(&path))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, table.metadata.clone());
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        let count = count.min(table.rows - row);
        let mut reader = builder
            .with_projection(mask)
            .with_offset(row)
            .with_limit(count)
            .with_batch_size(count)
            .build()
            .map_err(|error| refuse(&error))?;
        match reader.next() {
            Some(batch) => batch.map_err(|error| refuse(&error)),
            None => Err(refuse(&"the table is shorter than its footer says")),
        }
    }

    /// The bytes of one column of one row.
    fn cell(&self, picture: &Picture, column: &str) -> Result<Bytes> {
        let place = picture.stored_row();
        let batch = self.rows(place, 1, &[column])?;
        let cells = binary(&batch, column).map_err(|problem| refuse(&self.name(picture), column, problem))?;
        if cells.is_null(0) {
            return Err(refuse(&self.name(picture), column, "is null".into()));
        }
        Ok(Bytes::copy_from_slice(cells.as_binary::<i64>().value(0)))
    }

    fn name(&self, picture: &Picture) -> PathBuf {
        self.files.name(&picture.name)
    }

    /// One picture a row, of the size of its map.
    fn pictures(&self, limit: usize, faults: &mut Faults) -> Result<Vec<Picture>> {
        let map = [&self.columns.instances, &self.columns.classes].into_iter().find(|column| !column.is_empty());
        let map = map.ok_or_else(|| DataError::Format {
            uri: self.files.name("").display().to_string(),
            problem: "has no column of maps".into(),
            hint: "name it: `instance_column`, `class_column` or both".into(),
        })?;
        let mut pictures = Vec::new();
        for table in &self.tables {
            let mut row = 0;
            while row < table.rows && table.start + row < limit {
                let count = ROWS.min(table.rows - row).min(limit - table.start - row);
                let Some(batch) = faults.take(self.rows(table.start + row, count, &[map]))? else {
                    row += count;
                    continue;
                };
                let path = self.files.name(&table.key);
                let cells = binary(&batch, map).map_err(|problem| refuse(&path, map, problem))?;
                for at in 0..batch.num_rows() {
                    let size = cells.is_valid(at).then(|| cells.as_binary::<i64>().value(at));
                    let size = size
                        .ok_or_else(|| "is null".to_owned())
                        .and_then(|bytes| size_in_head(&bytes[..bytes.len().min(HEAD as usize)]));
                    let field = format!("row {}, column `{map}`,", row + at);
                    let size = size.map_err(|problem| fault(path.clone(), field, problem));
                    if let Some((width, height)) = faults.take(size)? {
                        let name = format!("{}#{}", stem(&table.key), row + at);
                        pictures.push(Picture { name, width, height, ..Picture::of_row(table.start + row + at) });
                    }
                }
                row += count;
            }
        }
        Ok(pictures)
    }
}

struct TablePictures {
    tables: Arc<Tables>,
}

impl PictureSource for TablePictures {
    fn bytes(&self, picture: &Picture) -> Result<Bytes> {
        self.tables.cell(picture, &self.tables.columns.image)
    }

    fn name(&self, picture: &Picture) -> PathBuf {
        self.tables.name(picture)
    }
}

struct TableMaps {
    tables: Arc<Tables>,
}

impl TableMaps {
    fn map(&self, picture: &Picture, column: &str) -> Result<Option<LabelMap>> {
        if column.is_empty() {
            return Ok(None);
        }
        let bytes = self.tables.cell(picture, column)?;
        let field = format!("column `{column}`");
        let refuse = |problem: String| fault(self.tables.name(picture), field.clone(), problem);
        let map = label_map(&bytes).map_err(refuse)?;
        if map.size() != (picture.width, picture.height) {
            let (found, expected) = (map.size(), (picture.width, picture.height));
            let problem = format!("is {}×{} pixels, the other is {}×{}", found.0, found.1, expected.0, expected.1);
            return Err(refuse(problem));
        }
        Ok(Some(map))
    }
}

impl MapSource for TableMaps {
    fn maps(&self, picture: &Picture) -> Result<Maps> {
        let columns = &self.tables.columns;
        match (self.map(picture, &columns.instances)?, self.map(picture, &columns.classes)?) {
            (Some(instances), Some(classes)) => Ok(Maps { instances, classes }),
            (Some(instances), None) => Ok(Maps::of_instances(instances)),
            (None, Some(classes)) => Ok(Maps::of_classes(classes)),
            (None, None) => Err(refuse(&self.tables.name(picture), "the map", "is missing".into())),
        }
    }
}

/// Files as bytes, or in the layout that the `datasets` library gives to images.
pub(super) fn binary(batch: &RecordBatch, name: &str) -> std::result::Result<ArrayRef, String> {
    let column = batch.column_by_name(name).ok_or("is not there")?;
    let bytes = match column.data_type() {
        DataType::Struct(_) => column.as_struct().column_by_name("bytes").ok_or("has no field `bytes`")?,
        _ => column,
    };
    cast(bytes, &DataType::LargeBinary).map_err(|error| format!("holds no files: {error}"))
}

/// Bytes in a file that is gone when it is closed.
fn copy(bytes: &[u8]) -> Result<File> {
    let name = format!("glass-table-{}-{:p}", std::process::id(), bytes.as_ptr());
    let path = std::env::temp_dir().join(name);
    let write = || {
        let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        file.write_all(bytes)?;
        Ok(file)
    };
    write().map_err(DataError::read(&path))
}

fn refuse(path: &Path, field: &str, problem: String) -> DataError {
    DataError::Field {
        path: path.to_owned(),
        field: field.to_owned(),
        problem,
        hint: "a table has a column of pictures and one of PNG label maps, binary or structs with `bytes`; \
               `image_column`, `instance_column` and `class_column` name them"
            .into(),
    }
}
