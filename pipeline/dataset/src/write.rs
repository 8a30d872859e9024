//! Writing one shard: rows in, a commit out.

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use glass_schemas::dataset::{QuarantineRow, Row};
use glass_schemas::ids::{Digest, SampleId, ShardIndex};
use glass_schemas::manifest::Commit;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::SchemaDescriptor;

use crate::attempt::Attempt;
use crate::commit::{Outcome, commit_shard};
use crate::dataset::Dataset;
use crate::error::{DatasetError, Result};
use crate::layout;
use crate::store::Store;
use crate::upload::Upload;

/// Rows in a row group. A hundred images are what a shuffled reader can afford to fetch at once.
const ROW_GROUP_ROWS: usize = 100;
/// Bytes in a row group: a hundred attention rows would be a gigabyte.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// Writes the rows of one shard as they are made and commits them at the end.
///
/// The same batches in the same order give the same bytes: there is no time stamp, no random
/// number and no parallelism in the encoding.
pub struct ShardWriter {
    dataset: Dataset,
    shard: ShardIndex,
    attempt: Attempt,
    table: TableWriter,
}

/// A shard whose rows are in the store and which nobody can see yet.
///
/// Committing is separate so that one attempt at two datasets can have the rows of both in place
/// before either becomes visible.
pub struct WrittenShard {
    dataset: Dataset,
    commit: Commit,
    objects: Vec<String>,
}

impl ShardWriter {
    pub(crate) fn new(dataset: Dataset, shard: ShardIndex, schema: SchemaRef) -> Result<Self> {
        let attempt = Attempt::new();
        let key = dataset.layout().absolute(&layout::data_key(shard, &attempt));
        let table = TableWriter::new(dataset.store().clone(), key, schema)?;
        Ok(Self { dataset, shard, attempt, table })
    }

    /// Appends rows. Compression runs on a blocking thread, uploads run beside it.
    ///
    /// # Errors
    /// [`DatasetError::Parquet`] if the batch has another schema, [`DatasetError::Store`] if a part
    /// cannot be uploaded; the writer is of no use after an error.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.table.write(batch).await
    }

    /// Finishes the data object and writes the quarantine beside it. Nothing is visible yet.
    ///
    /// # Errors
    /// As [`ShardWriter::write`].
    pub async fn finish(self, quarantine: &[QuarantineRow]) -> Result<WrittenShard> {
        let (dataset, shard) = (self.dataset, self.shard);
        let table = self.table.finish().await?;
        let data_key = layout::data_key(shard, &self.attempt);
        let mut objects = vec![dataset.layout().absolute(&data_key)];
        let mut quarantine_key = None;
        if !quarantine.is_empty() {
            let relative = layout::quarantine_key(shard, &self.attempt);
            let key = dataset.layout().absolute(&relative);
            dataset.store().put(&key, quarantine_table(&key, quarantine)?).await?;
            objects.push(key);
            quarantine_key = Some(relative);
        }
        Ok(WrittenShard {
            dataset,
            commit: Commit {
                shard,
                dataset: None,
                data_key,
                digest: table.digest,
                bytes: table.bytes,
                rows: table.rows,
                first_sample: table.first,
                last_sample: table.last,
                quarantined: quarantine.len() as u64,
                quarantine_key,
                attempt: self.attempt.to_string(),
            },
            objects,
        })
    }

    /// Gives the attempt up; what was uploaded is dropped.
    pub async fn abort(self) {
        self.table.abort().await;
    }
}

/// One table on its way to a key that nobody else writes.
pub(crate) struct TableWriter {
    key: String,
    encoder: Option<Encoder>,
    upload: Upload,
}

/// A table that is in the store.
pub(crate) struct Table {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) first: Option<SampleId>,
    pub(crate) last: Option<SampleId>,
}

impl TableWriter {
    pub(crate) fn new(store: Store, key: String, schema: SchemaRef) -> Result<Self> {
        let encoder = Encoder::new(schema).map_err(|source| parquet_error(&key, source))?;
        let upload = Upload::new(store, key.clone());
        Ok(Self { key, encoder: Some(encoder), upload })
    }

    pub(crate) async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let (encoder, bytes) = self.encode(move |encoder| encoder.write(&batch)).await?;
        self.encoder = Some(encoder);
        match bytes.is_empty() {
            true => Ok(()),
            false => self.upload.push(bytes).await,
        }
    }

    pub(crate) async fn finish(mut self) -> Result<Table> {
        let (encoder, bytes) = self.encode(Encoder::finish).await?;
        let mut upload = self.upload;
        upload.push(bytes).await?;
        let (digest, bytes) = upload.finish().await?;
        Ok(Table { digest, bytes, rows: encoder.rows, first: encoder.first, last: encoder.last })
    }

    pub(crate) async fn abort(self) {
        self.upload.abort().await;
    }

    /// Runs a step of the encoder on a blocking thread.
    async fn encode(
        &mut self,
        step: impl FnOnce(&mut Encoder) -> Result<Bytes, ParquetError> + Send + 'static,
    ) -> Result<(Encoder, Bytes)> {
        let unusable = || ParquetError::General("the writer failed before".to_owned());
        let mut encoder = self.encoder.take().ok_or_else(|| parquet_error(&self.key, unusable()))?;
        tokio::task::spawn_blocking(move || step(&mut encoder).map(|bytes| (encoder, bytes)))
            .await
            .map_err(|source| DatasetError::Task { key: self.key.clone(), source })?
            .map_err(|source| parquet_error(&self.key, source))
    }
}

impl WrittenShard {
    /// The record that [`WrittenShard::commit`] will create.
    pub fn record(&self) -> &Commit {
        &self.commit
    }

    /// Makes the shard visible, unless another attempt did so before.
    ///
    /// # Errors
    /// [`DatasetError::Unsettled`] and the store's errors; see [`crate::commit`].
    pub async fn commit(&self) -> Result<Outcome> {
        let key = self.dataset.layout().commit(self.commit.shard);
        commit_shard(self.dataset.store(), &key, &self.commit, &self.objects).await
    }

    /// Makes the rows visible as round `round` of a committed shard, unless another attempt's are;
    /// the rounds before it must exist.
    ///
    /// # Errors
    /// As [`WrittenShard::commit`].
    pub async fn commit_retry(&self, round: u32) -> Result<Outcome> {
        let key = self.dataset.layout().retry(self.commit.shard, round);
        commit_shard(self.dataset.store(), &key, &self.commit, &self.objects).await
    }

    /// Gives the attempt up and deletes its objects. Only for a shard whose [`WrittenShard::commit`]
    /// was never called: after an unsettled commit the record may still arrive.
    pub async fn discard(self) {
        for object in &self.objects {
            if let Err(error) = self.dataset.store().delete(object).await {
                tracing::warn!(%object, %error, "an object that no commit names stays behind");
            }
        }
    }
}

/// Rows to Parquet bytes, in memory.
struct Encoder {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
    first: Option<SampleId>,
    last: Option<SampleId>,
}

impl Encoder {
    fn new(schema: SchemaRef) -> Result<Self, ParquetError> {
        let converted = parquet::arrow::ArrowSchemaConverter::new().convert(&schema)?;
        let writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties(&converted)?))?;
        Ok(Self { writer, rows: 0, first: None, last: None })
    }

    /// Appends rows and returns the bytes that became final.
    fn write(&mut self, batch: &RecordBatch) -> Result<Bytes, ParquetError> {
        self.rows += batch.num_rows() as u64;
        if let Some((first, last)) = ends(batch) {
            self.first = self.first.or(first);
            self.last = last;
        }
        self.writer.write(batch)?;
        Ok(std::mem::take(self.writer.inner_mut()).into())
    }

    fn finish(&mut self) -> Result<Bytes, ParquetError> {
        self.writer.finish()?;
        Ok(std::mem::take(self.writer.inner_mut()).into())
    }
}

/// Columns of identifiers, which a reader looks up or groups by.
const IDENTIFIERS: [&str; 6] = ["sample_id", "source_id", "classes", "extractor", "stage", "error_class"];

/// Zstandard throughout. Floats are split into byte planes first, which is what makes them shrink;
/// identifiers have a dictionary, and nothing else has one, because images, latents and captions hardly
/// ever repeat.
fn properties(schema: &SchemaDescriptor) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by("glass".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    for column in schema.columns() {
        let root = column.path().parts().first().map(String::as_str).unwrap_or_default();
        if IDENTIFIERS.contains(&root) {
            builder = builder.set_column_dictionary_enabled(column.path().clone(), true);
        }
        if column.physical_type() == Type::FLOAT {
            let path = column.path().clone();
            builder = builder
                .set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_statistics_enabled(path, EnabledStatistics::None);
        }
    }
    Ok(builder.build())
}

/// The samples of the first and the last row.
fn ends(batch: &RecordBatch) -> Option<(Option<SampleId>, Option<SampleId>)> {
    let column = batch.column_by_name("sample_id")?;
    let ids = column.as_any().downcast_ref::<StringArray>()?;
    let at = |row: usize| ids.value(row).parse().ok();
    (!ids.is_empty()).then(|| (at(0), at(ids.len() - 1)))
}

fn quarantine_table(key: &str, rows: &[QuarantineRow]) -> Result<Bytes> {
    let batch = QuarantineRow::encode(rows)?;
    let table = Encoder::new(batch.schema()).and_then(|mut encoder| {
        let mut bytes = encoder.write(&batch)?.to_vec();
        bytes.extend_from_slice(&encoder.finish()?);
        Ok(Bytes::from(bytes))
    });
    table.map_err(|source| parquet_error(key, source))
}

pub(crate) fn parquet_error(key: &str, source: ParquetError) -> DatasetError {
    DatasetError::Parquet { key: key.to_owned(), source }
}
