//! Columns of a Parquet object, fetched by range, through the Parquet library's own reader.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray, UInt32Array};
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::{BoxFuture, FutureExt};
use glass_dataset::Store;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// An object of a store as a file that Parquet reads.
struct File {
    store: Store,
    key: String,
    bytes: u64,
}

impl AsyncFileReader for File {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let read = self.store.get_range(&self.key, range).await;
            read.map_err(|error| ParquetError::External(error.into()))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let metadata = ParquetMetaDataReader::new().load_and_finish(self, bytes).await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}

/// These top-level columns of an object, in batches.
pub(super) async fn columns(store: &Store, key: &str, bytes: u64, columns: &[&str]) -> Result<Vec<RecordBatch>> {
    let file = File { store: store.clone(), key: key.to_owned(), bytes };
    let builder = ParquetRecordBatchStreamBuilder::new(file).await?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    builder.with_projection(mask).build()?.try_collect().await
}

/// The texts of a column; `None` for null.
pub(crate) fn texts(batches: &[RecordBatch], column: &str) -> Result<Vec<Option<String>>> {
    let mut texts = Vec::new();
    for batch in batches {
        let array = array::<StringArray>(batch, column)?;
        texts.extend(array.iter().map(|text| text.map(str::to_owned)));
    }
    Ok(texts)
}

/// The numbers of a column.
pub(super) fn numbers(batches: &[RecordBatch], column: &str) -> Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for batch in batches {
        numbers.extend(array::<UInt32Array>(batch, column)?.values());
    }
    Ok(numbers)
}

fn array<'a, A: Array + 'static>(batch: &'a RecordBatch, column: &str) -> Result<&'a A> {
    let found = batch.column_by_name(column).and_then(|array| array.as_any().downcast_ref());
    found.ok_or_else(|| ParquetError::General(format!("column `{column}` is missing or of another type")))
}
