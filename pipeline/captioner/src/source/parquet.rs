//! Parquet objects with an image column, as the Hugging Face hub holds image datasets.

use std::ops::Range;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ParquetMetaDataReader;
use anyhow::Context;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use glass_dataset::Store;
use glass_schemas::ids::ShardIndex;
use glass_schemas::spec::SourceSpec;
use glass_stage::{ErrorClass, Explain, Failure, Loaded, StageError};

use super::{Listing, Raw, Reader};

/// Bytes of a footer fetched at first.
const FOOTER: u64 = 64 << 10;

pub(super) struct Tables {
    store: Store,
    column: String,
    /// Key and number of rows.
    tables: Vec<(String, u64)>,
    rows: u64,
}

impl Tables {
    /// Reads every footer for its number of rows.
    pub(super) async fn open(store: Store, listing: &Listing, spec: &SourceSpec) -> anyhow::Result<Self> {
        let mut tables = Vec::with_capacity(listing.keys.len());
        for (key, &size) in listing.keys.iter().zip(&listing.sizes) {
            let rows = rows_of(&store, key, size)
                .await
                .with_context(|| format!("`{key}` in the source is not a Parquet file"))
                .blame_user()?;
            tables.push((key.clone(), rows));
        }
        let total = tables.iter().map(|(_, rows)| rows).sum::<u64>();
        let rows = if spec.limit > 0 { total.min(spec.limit) } else { total };
        Ok(Self { store, column: spec.image_column.clone(), tables, rows })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows of the first table, of the first two, and so on.
    pub(super) fn sums(&self) -> Vec<u64> {
        let rows = self.tables.iter().map(|(_, rows)| *rows);
        rows.scan(0, |sum, rows| {
            *sum += rows;
            Some(*sum)
        })
        .collect()
    }

    async fn images(&self, shard: ShardIndex, range: Range<u64>) -> Result<Vec<Loaded<Raw>>, StageError> {
        let mut images = Vec::new();
        let mut start = 0;
        for (key, rows) in &self.tables {
            let end = start + rows;
            let wanted = range.start.max(start)..range.end.min(end);
            if !wanted.is_empty() {
                let bytes = self.store.get(key).await?;
                let local = wanted.start - start..wanted.end - start;
                let found = self.decode(key, bytes, local);
                images.extend(
                    found.map_err(|problem| StageError::Source {
                        shard,
                        source: format!("`{key}`: {problem}").into(),
                    })?,
                );
            }
            start = end;
        }
        Ok(images)
    }

    fn decode(&self, key: &str, bytes: Bytes, rows: Range<u64>) -> Result<Vec<Loaded<Raw>>, String> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| e.to_string())?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [self.column.as_str()]);
        let reader = builder
            .with_projection(mask)
            .with_offset(rows.start as usize)
            .with_limit(rows.clone().count())
            .build()
            .map_err(|e| e.to_string())?;
        let mut images = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|e| e.to_string())?;
            for row in 0..batch.num_rows() {
                let uri = format!("{key}#{}", rows.start + images.len() as u64);
                let bytes = self.cell(&batch, row)?;
                images.push(match bytes {
                    Some(bytes) => Ok(Raw { uri, bytes }),
                    None => Err(Failure::new(uri, ErrorClass::Unreadable, "the image is null")),
                });
            }
        }
        Ok(images)
    }

    /// One image's bytes: a binary column, or a struct with `bytes` as `datasets` writes it.
    fn cell(&self, batch: &RecordBatch, row: usize) -> Result<Option<Bytes>, String> {
        let column = batch.column_by_name(&self.column);
        let column = column.ok_or_else(|| format!("there is no column `{}`", self.column))?;
        let binary: ArrayRef = match column.as_struct_opt() {
            Some(fields) => fields
                .column_by_name("bytes")
                .ok_or_else(|| format!("column `{}` has no field `bytes`", self.column))?
                .clone(),
            None => column.clone(),
        };
        if column.is_null(row) || binary.is_null(row) {
            return Ok(None);
        }
        match binary.data_type() {
            DataType::Binary => Ok(binary.as_binary::<i32>().value(row)),
            DataType::LargeBinary => Ok(binary.as_binary::<i64>().value(row)),
            DataType::BinaryView => Ok(binary.as_binary_view().value(row)),
            other => Err(format!("column `{}` holds {other}, not images", self.column)),
        }
        .map(|bytes| Some(Bytes::copy_from_slice(bytes)))
    }
}

async fn rows_of(store: &Store, key: &str, size: u64) -> anyhow::Result<u64> {
    let mut wanted = FOOTER.min(size);
    loop {
        let tail = store.get_range(key, size - wanted..size).await?;
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&tail, size) {
            Ok(()) => {
                let rows = reader.finish()?.file_metadata().num_rows();
                return Ok(u64::try_from(rows).unwrap_or(0));
            }
            Err(ParquetError::NeedMoreData(needed)) if (needed as u64) > wanted => {
                wanted = (needed as u64).min(size);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl Reader for Tables {
    fn read(&self, shard: ShardIndex, range: Range<u64>) -> BoxFuture<'_, Result<Vec<Loaded<Raw>>, StageError>> {
        self.images(shard, range).boxed()
    }
}
