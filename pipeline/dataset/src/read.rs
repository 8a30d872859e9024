//! Reading one shard by row groups and columns, through range requests.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use glass_schemas::ids::Digest;
use glass_schemas::manifest::Commit;
use object_store::ObjectStoreExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use sha2::{Digest as _, Sha256};

use crate::error::{DatasetError, Result};
use crate::store::Store;
use crate::write::parquet_error;

/// Bytes fetched from the end at first: the footer of a shard of a few hundred rows fits.
const TAIL_BYTES: u64 = 64 << 10;
/// Row groups fetched ahead of the one being decoded.
const ROW_GROUPS_AHEAD: usize = 2;

/// Which columns to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns<'a> {
    /// Every column, with the digest of the object verified.
    All,
    /// These top-level columns; only their bytes are fetched.
    Only(&'a [&'a str]),
}

/// Rows as they are read: one batch per row group.
pub type BatchStream = BoxStream<'static, Result<RecordBatch>>;

/// What a record says of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promised {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

impl From<&Commit> for Promised {
    fn from(commit: &Commit) -> Self {
        Self { digest: commit.digest, bytes: commit.bytes }
    }
}

/// Opens the table `key` and streams its row groups.
pub(crate) async fn stream(store: Store, key: String, promised: Promised, columns: Columns<'_>) -> Result<BatchStream> {
    let metadata = metadata(&store, &key, promised.bytes).await?;
    let table = Arc::new(Table {
        projection: projection(&key, &metadata, columns)?,
        metadata,
        store,
        key,
        bytes: promised.bytes,
    });
    Ok(match columns {
        Columns::All => verified(table, promised.digest),
        Columns::Only(_) => projected(table),
    })
}

/// All batches of a small table that is in memory.
pub(crate) fn whole_table(key: &str, bytes: Bytes) -> Result<Vec<RecordBatch>> {
    let read = || {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()?;
        reader.collect::<Result<Vec<_>, _>>().map_err(ParquetError::from)
    };
    read().map_err(|source| parquet_error(key, source))
}

/// Compares an object with its commit, chunk by chunk.
pub(crate) async fn verify(store: &Store, key: &str, commit: &Commit) -> Result<()> {
    let path = store.path(key);
    let digest_and_size = || async {
        let mut chunks = store.inner().get(&path).await?.into_stream();
        let (mut hasher, mut bytes) = (Sha256::new(), 0_u64);
        while let Some(chunk) = chunks.try_next().await? {
            hasher.update(&chunk);
            bytes += chunk.len() as u64;
        }
        Ok((Digest::from_bytes(hasher.finalize().into()), bytes))
    };
    let found = store.retry().run(digest_and_size).await;
    let (digest, bytes) = found.map_err(|e| store.error(key, e))?;
    check_size(key, commit.bytes, bytes)?;
    check_digest(key, &commit.digest, &digest)
}

fn check_size(key: &str, expected: u64, found: u64) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(DatasetError::Damaged { key: key.to_owned(), expected: format!("{expected} bytes"), found: found.to_string() })
}

fn check_digest(key: &str, expected: &Digest, found: &Digest) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(DatasetError::damaged_digest(key, expected, found))
}

struct Table {
    store: Store,
    key: String,
    bytes: u64,
    metadata: ArrowReaderMetadata,
    projection: ProjectionMask,
}

impl Table {
    fn file(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Where the column chunks of a row group begin and end.
    fn span(&self, row_group: usize) -> Range<u64> {
        let columns = self.file().row_group(row_group).columns().iter();
        let ranges = columns.map(|column| column.byte_range());
        let (start, end) =
            ranges.fold((u64::MAX, 0), |(start, end), (offset, length)| (start.min(offset), end.max(offset + length)));
        start.min(end)..end
    }

    /// The column chunks of a row group that the projection asks for.
    fn projected_ranges(&self, row_group: usize) -> Vec<Range<u64>> {
        let columns = self.file().row_group(row_group).columns().iter().enumerate();
        columns
            .filter(|(leaf, _)| self.projection.leaf_included(*leaf))
            .map(|(_, column)| column.byte_range())
            .map(|(offset, length)| offset..offset + length)
            .collect()
    }

    /// Decodes a row group on a blocking thread.
    async fn decode(self: Arc<Self>, row_group: usize, pieces: Pieces) -> Result<RecordBatch> {
        let table = Arc::clone(&self);
        let rows = usize::try_from(self.file().row_group(row_group).num_rows()).unwrap_or(0);
        let decode = move || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(pieces, table.metadata.clone())
                .with_row_groups(vec![row_group])
                .with_projection(table.projection.clone())
                .with_batch_size(rows.max(1));
            let reader = builder.build()?;
            let schema = arrow::array::RecordBatchReader::schema(&reader);
            let batches = reader.collect::<Result<Vec<_>, _>>()?;
            Ok(arrow::compute::concat_batches(&schema, &batches)?)
        };
        tokio::task::spawn_blocking(decode)
            .await
            .map_err(|source| DatasetError::Task { key: self.key.clone(), source })?
            .map_err(|source: ParquetError| parquet_error(&self.key, source))
    }
}

/// Fetches the columns asked for, a few row groups ahead.
fn projected(table: Arc<Table>) -> BatchStream {
    let row_groups = table.file().num_row_groups();
    stream::iter(0..row_groups)
        .map(move |row_group| {
            let table = Arc::clone(&table);
            async move {
                let ranges = table.projected_ranges(row_group);
                let bytes = table.store.get_ranges(&table.key, &ranges).await?;
                let starts = ranges.iter().map(|range| range.start);
                let pieces = Pieces { pieces: starts.zip(bytes).collect(), length: table.bytes };
                table.decode(row_group, pieces).await
            }
        })
        .buffered(ROW_GROUPS_AHEAD)
        .boxed()
}

/// Fetches the whole object in row-group sized spans and hashes them as they pass.
fn verified(table: Arc<Table>, expected: Digest) -> BatchStream {
    let row_groups = table.file().num_row_groups();
    // Each span reaches from the end of the one before, so that together they are the object.
    let mut spans = Vec::with_capacity(row_groups + 1);
    let mut end = 0;
    for row_group in 0..row_groups {
        let next = table.span(row_group).end.max(end);
        spans.push(end..next);
        end = next;
    }
    spans.push(end..table.bytes);

    let fetched = stream::iter(spans.into_iter().enumerate()).map({
        let table = Arc::clone(&table);
        move |(index, span)| {
            let table = Arc::clone(&table);
            async move {
                let bytes = table.store.get_range(&table.key, span.clone()).await?;
                Ok::<_, DatasetError>((index, span.start, bytes))
            }
        }
    });
    let hashed_table = Arc::clone(&table);
    fetched
        .buffered(ROW_GROUPS_AHEAD)
        .scan(Sha256::new(), move |hasher, fetched| {
            let hashed = fetched.and_then(|(index, start, bytes)| {
                hasher.update(&bytes);
                if index < row_groups {
                    return Ok(Some((index, start, bytes)));
                }
                let found = Digest::from_bytes(hasher.clone().finalize().into());
                check_digest(&hashed_table.key, &expected, &found).map(|()| None)
            });
            future::ready(Some(hashed))
        })
        .try_filter_map(future::ok)
        .map(move |hashed| {
            let table = Arc::clone(&table);
            async move {
                let (row_group, start, bytes) = hashed?;
                let pieces = Pieces { pieces: vec![(start, bytes)], length: table.bytes };
                table.decode(row_group, pieces).await
            }
        })
        .buffered(ROW_GROUPS_AHEAD)
        .boxed()
}

async fn metadata(store: &Store, key: &str, bytes: u64) -> Result<ArrowReaderMetadata> {
    let tail = bytes.saturating_sub(TAIL_BYTES)..bytes;
    let found = store.get_range(key, tail.clone()).await;
    let tail_bytes = match found {
        Ok(bytes) => bytes,
        // A shorter object than promised: some stores refuse the range, so ask for its size.
        Err(error) => {
            let path = store.path(key);
            let meta = store.retry().run(|| store.inner().head(&path)).await;
            let meta = meta.map_err(|e| store.error(key, e))?;
            check_size(key, bytes, meta.size)?;
            return Err(error);
        }
    };
    check_size(key, bytes, tail.start + tail_bytes.len() as u64)?;
    let footer = read_footer(store, key, tail, tail_bytes).await?;
    ArrowReaderMetadata::try_new(Arc::new(footer), Default::default()).map_err(|source| parquet_error(key, source))
}

async fn read_footer(store: &Store, key: &str, mut tail: Range<u64>, mut bytes: Bytes) -> Result<ParquetMetaData> {
    let size = tail.end;
    let mut reader = ParquetMetaDataReader::new();
    loop {
        match reader.try_parse_sized(&bytes, size) {
            Ok(()) => break,
            // The footer is longer than what was fetched.
            Err(ParquetError::NeedMoreData(needed)) if (needed as u64) > size - tail.start && needed as u64 <= size => {
                tail.start = size - needed as u64;
                bytes = store.get_range(key, tail.clone()).await?;
            }
            Err(source) => return Err(parquet_error(key, source)),
        }
    }
    reader.finish().map_err(|source| parquet_error(key, source))
}

fn projection(key: &str, metadata: &ArrowReaderMetadata, columns: Columns<'_>) -> Result<ProjectionMask> {
    let Columns::Only(names) = columns else {
        return Ok(ProjectionMask::all());
    };
    let schema = metadata.schema();
    let mut roots = Vec::with_capacity(names.len());
    for name in names {
        let root = schema
            .index_of(name)
            .map_err(|_| DatasetError::NoColumn { key: key.to_owned(), column: (*name).to_owned() })?;
        roots.push(root);
    }
    Ok(ProjectionMask::roots(metadata.parquet_schema(), roots))
}

/// Some byte ranges of an object, readable as if it were whole.
#[derive(Clone)]
struct Pieces {
    pieces: Vec<(u64, Bytes)>,
    length: u64,
}

impl Pieces {
    fn slice(&self, start: u64, length: Option<usize>) -> Result<Bytes, ParquetError> {
        for (offset, bytes) in &self.pieces {
            let Some(skip) = start.checked_sub(*offset).map(|skip| skip as usize) else {
                continue;
            };
            let end = length.map_or(bytes.len(), |length| skip + length);
            if skip < bytes.len() && end <= bytes.len() {
                return Ok(bytes.slice(skip..end));
            }
        }
        Err(ParquetError::EOF(format!("no bytes at {start}: the object is damaged")))
    }
}

impl Length for Pieces {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Pieces {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(bytes::Buf::reader(self.slice(start, None)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.slice(start, Some(length))
    }
}
