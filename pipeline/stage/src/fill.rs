//! A shard that is being filled: rows as they are made, on their way to its objects and, part by
//! part, to spills.
//!
//! A shard's bytes must not depend on batch sizes, restarts or spills. So its objects are written in
//! chunks of a fixed number of rows, whatever pieces the rows come in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use glass_dataset::{Attempt, Dataset, DatasetError, ShardWriter, SpillWriter};
use glass_schemas::SchemaError;
use glass_schemas::dataset::QuarantineRow;
use glass_schemas::ids::ShardIndex;

use crate::error::{Result, StageError};
use crate::job::Encode;
use crate::load::Turn;

/// Rows written at once. Fixed, so that a shard's bytes depend on its rows only.
const CHUNK_ROWS: usize = 16;

/// How much of a shard may be lost with a worker; whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpillBound {
    /// Samples made since the last spill; 0: no bound.
    pub samples: u64,
    /// Time since the last spill; zero: no bound.
    pub time: Duration,
}

impl SpillBound {
    /// Nothing is put aside.
    pub const NONE: Self = Self { samples: 0, time: Duration::ZERO };

    fn reached(&self, samples: u64, time: Duration) -> bool {
        let (by_samples, by_time) = (self.samples > 0, !self.time.is_zero());
        (by_samples && samples >= self.samples) || (by_time && time >= self.time)
    }
}

/// Where rows go and how they are encoded.
pub(crate) struct Output<O> {
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) encode: Arc<Encode<O>>,
    pub(crate) spill: SpillBound,
}

impl<O: Send + 'static> Output<O> {
    /// One batch for each dataset.
    async fn encode(&self, rows: Vec<O>) -> Result<Vec<RecordBatch>> {
        let encode = Arc::clone(&self.encode);
        let batches = tokio::task::spawn_blocking(move || encode(rows))
            .await
            .map_err(|error| StageError::Encode(error.into()))??;
        match batches.len() == self.datasets.len() {
            true => Ok(batches),
            false => Err(StageError::BatchCount { expected: self.datasets.len(), returned: batches.len() }),
        }
    }
}

/// The shard that is being filled.
pub(crate) struct Filling<O> {
    pub(crate) turn: Turn,
    pub(crate) quarantine: Vec<QuarantineRow>,
    /// Inputs that were made or taken from spills.
    pub(crate) seen: u64,
    /// A passing error of the store: the rest of the shard is ignored and it is made again.
    pub(crate) failed: Option<StageError>,
    rows: Vec<O>,
    lanes: Vec<Lane>,
    spilling: Spilling,
}

/// One dataset's part of it.
#[derive(Default)]
struct Lane {
    writer: Option<ShardWriter>,
    waiting: Vec<RecordBatch>,
}

/// Whether parts are put aside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    PutAside,
    Kept,
}

/// The part that will be the next spill.
struct Spilling {
    parts: Parts,
    attempt: Attempt,
    /// Inputs that spills cover.
    covered: u64,
    /// Failures that they hold.
    failures: usize,
    since: Instant,
    writers: Vec<SpillWriter>,
}

impl<O: Send + 'static> Filling<O> {
    pub(crate) fn new(turn: Turn, output: &Output<O>) -> Self {
        let parts = match turn.again.is_some() || output.spill == SpillBound::NONE {
            true => Parts::Kept,
            false => Parts::PutAside,
        };
        Self {
            quarantine: Vec::new(),
            seen: 0,
            failed: None,
            rows: Vec::new(),
            lanes: output.datasets.iter().map(|_| Lane::default()).collect(),
            spilling: Spilling {
                parts,
                attempt: Attempt::new(),
                covered: 0,
                failures: 0,
                since: Instant::now(),
                writers: Vec::new(),
            },
            turn,
        }
    }

    /// Takes what earlier attempts put aside; returns how many rows. If that fails the shard is made
    /// again without it.
    pub(crate) async fn restore(&mut self, output: &Output<O>) -> Result<u64> {
        let taken = Arc::clone(&self.turn.taken);
        if taken.links.is_empty() {
            return Ok(0);
        }
        let schemas = output.encode(Vec::new()).await?;
        let mut rows = 0;
        for link in &taken.links {
            for (lane, spill) in link.iter().enumerate() {
                let dataset = &output.datasets[lane];
                match self.restore_rows(dataset, lane, spill, &schemas[lane]).await {
                    Ok(()) => {}
                    Err(source) => {
                        if source.is_of_object()
                            && let Err(error) = dataset.forget_spill(spill).await
                        {
                            tracing::debug!(%error, "a spill that is of no use stays behind");
                        }
                        self.failed = Some(StageError::Spill { shard: spill.shard, source });
                        return Ok(0);
                    }
                }
            }
            if let Some(head) = link.last() {
                rows += head.rows;
                self.quarantine.extend(head.quarantine.iter().cloned());
            }
        }
        self.seen = taken.end();
        self.spilling.cover(self.seen, self.quarantine.len());
        Ok(rows)
    }

    async fn restore_rows(
        &mut self,
        dataset: &Dataset,
        lane: usize,
        spill: &glass_schemas::manifest::Spill,
        like: &RecordBatch,
    ) -> std::result::Result<(), DatasetError> {
        let mut batches = dataset.stream_spill(spill).await?;
        while let Some(batch) = batches.try_next().await? {
            let batch = RecordBatch::try_new(like.schema(), batch.columns().to_vec());
            let batch = batch.map_err(|source| SchemaError::Arrow { kind: "spill", source })?;
            self.lanes[lane].push(dataset, self.turn.shard, batch).await?;
        }
        Ok(())
    }

    /// Appends a row, to be written with the next ones.
    pub(crate) fn push(&mut self, row: O) {
        if self.failed.is_none() {
            self.rows.push(row);
        }
    }

    /// Writes the rows that make a chunk, and puts a part aside if the bound is reached.
    pub(crate) async fn settle(&mut self, output: &Output<O>) -> Result<()> {
        while self.rows.len() >= CHUNK_ROWS && self.failed.is_none() {
            let rest = self.rows.split_off(CHUNK_ROWS);
            let chunk = std::mem::replace(&mut self.rows, rest);
            self.write_or_mark(output, chunk).await?;
        }
        if self.failed.is_some() {
            self.rows.clear();
        }
        let made = self.seen - self.spilling.covered;
        if output.spill.reached(made, self.spilling.since.elapsed()) {
            self.spill(output).await?;
        }
        Ok(())
    }

    /// Puts aside what was made since the last spill. What goes wrong with the store costs the spills
    /// of this shard and nothing else.
    pub(crate) async fn spill(&mut self, output: &Output<O>) -> Result<()> {
        if self.spilling.parts == Parts::Kept || self.seen == self.spilling.covered {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty() || self.spilling.writers.is_empty() {
            self.write_or_mark(output, rows).await?;
        }
        if self.failed.is_some() || self.spilling.parts == Parts::Kept {
            return Ok(());
        }
        let failures = self.quarantine[self.spilling.failures..].to_vec();
        match self.spilling.finish(self.seen, failures).await {
            Ok(()) => {
                tracing::debug!(shard = %self.turn.shard, inputs = self.seen, "put aside");
                self.spilling.cover(self.seen, self.quarantine.len());
            }
            Err(error) => self.spilling.give_up(self.turn.shard, &error).await,
        }
        Ok(())
    }

    /// The shard's rows are complete: writes the rest. Its writers are ready to be finished then.
    pub(crate) async fn end(&mut self, output: &Output<O>) -> Result<()> {
        // Nothing more is put aside; the commit is next.
        self.spilling.parts = Parts::Kept;
        let rest = std::mem::take(&mut self.rows);
        if self.failed.is_none() && (!rest.is_empty() || self.lanes.iter().any(Lane::is_new)) {
            self.write_or_mark(output, rest).await?;
        }
        for (lane, dataset) in self.lanes.iter_mut().zip(&output.datasets) {
            if self.failed.is_none()
                && let Err(error) = lane.end(dataset, self.turn.shard).await
            {
                self.failed = Some(transient(error)?);
            }
        }
        Ok(())
    }

    /// Whether spills of the shard are in the store, this attempt's or earlier ones'.
    pub(crate) fn has_spills(&self) -> bool {
        self.spilling.covered > 0 || !self.spilling.writers.is_empty() || !self.turn.taken.links.is_empty()
    }

    /// The writers of a shard that has ended, the turn and the failures.
    pub(crate) async fn into_parts(self) -> (Turn, Vec<ShardWriter>, Vec<QuarantineRow>, Option<StageError>) {
        self.spilling.abort().await;
        let writers = self.lanes.into_iter().filter_map(|lane| lane.writer).collect();
        (self.turn, writers, self.quarantine, self.failed)
    }

    /// Drops what was uploaded; spills stay.
    pub(crate) async fn abort(self) {
        let (_, writers, _, _) = self.into_parts().await;
        for writer in writers {
            writer.abort().await;
        }
    }

    /// Writes rows; a passing error of the store marks the shard, any other ends the job.
    async fn write_or_mark(&mut self, output: &Output<O>, rows: Vec<O>) -> Result<()> {
        let batches = output.encode(rows).await?;
        self.spilling.write(output, self.turn.shard, &batches).await;
        let lanes = self.lanes.iter_mut().zip(&output.datasets).zip(batches);
        for ((lane, dataset), batch) in lanes {
            if let Err(error) = lane.push(dataset, self.turn.shard, batch).await {
                self.failed = Some(transient(error)?);
                return Ok(());
            }
        }
        Ok(())
    }
}

fn transient(error: DatasetError) -> Result<StageError> {
    let error = StageError::from(error);
    if error.is_transient() { Ok(error) } else { Err(error) }
}

impl Lane {
    fn is_new(&self) -> bool {
        self.writer.is_none() && self.waiting.is_empty()
    }

    async fn push(
        &mut self,
        dataset: &Dataset,
        shard: ShardIndex,
        batch: RecordBatch,
    ) -> std::result::Result<(), DatasetError> {
        self.waiting.push(batch);
        while self.waiting.iter().map(RecordBatch::num_rows).sum::<usize>() >= CHUNK_ROWS {
            let chunk = self.take(CHUNK_ROWS)?;
            self.write(dataset, shard, chunk).await?;
        }
        Ok(())
    }

    async fn end(&mut self, dataset: &Dataset, shard: ShardIndex) -> std::result::Result<(), DatasetError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let rest = self.take(CHUNK_ROWS)?;
        match rest.num_rows() == 0 && self.writer.is_some() {
            true => Ok(()),
            false => self.write(dataset, shard, rest).await,
        }
    }

    async fn write(
        &mut self,
        dataset: &Dataset,
        shard: ShardIndex,
        chunk: RecordBatch,
    ) -> std::result::Result<(), DatasetError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(dataset.shard_writer(shard, chunk.schema())?),
        };
        writer.write(chunk).await
    }

    /// The first `rows` rows that wait, or all if there are fewer; there is a batch.
    fn take(&mut self, rows: usize) -> std::result::Result<RecordBatch, SchemaError> {
        let mut pieces = Vec::new();
        let mut left = rows;
        let mut rest = Vec::new();
        for batch in self.waiting.drain(..) {
            let count = batch.num_rows().min(left);
            if count > 0 || pieces.is_empty() {
                pieces.push(batch.slice(0, count));
            }
            if count < batch.num_rows() {
                rest.push(batch.slice(count, batch.num_rows() - count));
            }
            left -= count;
        }
        self.waiting = rest;
        match pieces.len() {
            1 => Ok(pieces.swap_remove(0)),
            _ => {
                let schema = pieces[0].schema();
                concat_batches(&schema, &pieces).map_err(|source| SchemaError::Arrow { kind: "shard", source })
            }
        }
    }
}

impl Spilling {
    fn cover(&mut self, inputs: u64, failures: usize) {
        self.covered = inputs;
        self.failures = failures;
        self.since = Instant::now();
    }

    async fn write<O: Send + 'static>(&mut self, output: &Output<O>, shard: ShardIndex, batches: &[RecordBatch]) {
        if self.parts == Parts::Kept {
            return;
        }
        if let Err(error) = self.try_write(output, shard, batches).await {
            self.give_up(shard, &error).await;
        }
    }

    async fn try_write<O: Send + 'static>(
        &mut self,
        output: &Output<O>,
        shard: ShardIndex,
        batches: &[RecordBatch],
    ) -> std::result::Result<(), DatasetError> {
        if self.writers.is_empty() {
            for (dataset, batch) in output.datasets.iter().zip(batches) {
                let schema = batch.schema();
                self.writers.push(dataset.spill_writer(shard, self.covered, &self.attempt, schema)?);
            }
        }
        for (writer, batch) in self.writers.iter_mut().zip(batches) {
            writer.write(batch.clone()).await?;
        }
        Ok(())
    }

    /// The last dataset's record is what counts, so it is written last and holds the failures.
    async fn finish(&mut self, end: u64, failures: Vec<QuarantineRow>) -> std::result::Result<(), DatasetError> {
        let mut writers = std::mem::take(&mut self.writers);
        let head = writers.pop();
        for writer in writers {
            writer.finish(end, Vec::new()).await?;
        }
        match head {
            Some(head) => head.finish(end, failures).await.map(drop),
            None => Ok(()),
        }
    }

    async fn give_up(&mut self, shard: ShardIndex, error: &DatasetError) {
        tracing::warn!(%shard, %error, "nothing more of this shard can be put aside until it is committed");
        self.parts = Parts::Kept;
        for writer in std::mem::take(&mut self.writers) {
            writer.abort().await;
        }
    }

    async fn abort(self) {
        for writer in self.writers {
            writer.abort().await;
        }
    }
}
