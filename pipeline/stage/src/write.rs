//! The writing end of the pipeline: rows to committed shards.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use glass_dataset::{Dataset, Outcome, ShardWriter, WrittenShard};
use glass_schemas::dataset::QuarantineRow;
use glass_schemas::ids::ShardIndex;
use glass_schemas::plan::Plan;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::again::{Again, Round};
use crate::compute::Made;
use crate::error::{Result, StageError};
use crate::failure::Failure;
use crate::job::Encode;
use crate::load::{Settled, Turn};
use crate::progress::Task;
use crate::systematic::Watch;

/// Rows encoded at once. Fixed, so that a shard's bytes do not depend on the batch size.
const CHUNK_ROWS: usize = 16;
/// Shards being uploaded and committed while the next one is made.
const COMMITS_IN_FLIGHT: usize = 2;

/// What the writer did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) committed: u32,
    pub(crate) lost: u32,
    pub(crate) rows: u64,
    pub(crate) quarantined: u64,
}

pub(crate) struct Writer<O> {
    pub(crate) stage: &'static str,
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) plan: Plan,
    pub(crate) encode: Arc<Encode<O>>,
    pub(crate) made: mpsc::Receiver<Made<O>>,
    pub(crate) settled: mpsc::UnboundedSender<Settled>,
    pub(crate) watch: Watch,
    pub(crate) progress: Task,
}

/// The shard that is being filled.
struct Open<O> {
    turn: Turn,
    rows: Vec<O>,
    quarantine: Vec<QuarantineRow>,
    writers: Vec<ShardWriter>,
    seen: u64,
    /// A passing error of the store: the rest of the shard is ignored and it is made again.
    failed: Option<StageError>,
}

impl<O> Open<O> {
    fn new(turn: Turn) -> Self {
        Self {
            turn,
            rows: Vec::new(),
            quarantine: Vec::new(),
            writers: Vec::new(),
            seen: 0,
            failed: None,
        }
    }
}

impl<O: Send + 'static> Writer<O> {
    /// Writes what the worker makes until it has no more to give; a shard that is not complete
    /// then is dropped.
    pub(crate) async fn run(mut self) -> Result<Written> {
        let mut written = Written::default();
        let mut commits = JoinSet::new();
        let mut open: Option<Open<O>> = None;
        loop {
            // Both at once: the loader waits for the last commits before it ends the feed.
            let made = tokio::select! {
                made = self.made.recv() => made,
                Some(joined) = commits.join_next() => {
                    self.tally(flatten(joined), &mut written)?;
                    continue;
                }
            };
            let Some(made) = made else {
                break;
            };
            match made {
                Made::Batch { shard, results } => {
                    let open = open.get_or_insert_with(|| Open::new(shard));
                    self.append(open, results).await?;
                }
                Made::End(turn) => {
                    let shard = open.take().unwrap_or_else(|| Open::new(turn));
                    while commits.len() >= COMMITS_IN_FLIGHT {
                        self.join(&mut commits, &mut written).await?;
                    }
                    self.end(shard, &mut commits).await?;
                }
            }
        }
        if let Some(open) = open {
            for writer in open.writers {
                writer.abort().await;
            }
        }
        while !commits.is_empty() {
            self.join(&mut commits, &mut written).await?;
        }
        Ok(written)
    }

    async fn append(&mut self, open: &mut Open<O>, results: Vec<Result<O, Failure>>) -> Result<()> {
        let count = results.len() as u64;
        open.seen += count;
        for result in results {
            match result {
                Ok(row) => {
                    self.watch.success();
                    open.rows.push(row);
                }
                Err(failure) => {
                    tracing::debug!(item = failure.item, class = %failure.class, message = failure.message, "sample failed");
                    self.watch.failure(&failure);
                    let Turn { shard, attempt, again } = &open.turn;
                    open.quarantine.push(match again {
                        Some(again) => again.failed(failure, self.stage, *shard),
                        None => failure.into_row(self.stage, *shard, *attempt),
                    });
                }
            }
        }
        self.watch.check(open.turn.shard)?;
        self.progress.advance(count);
        while open.rows.len() >= CHUNK_ROWS && open.failed.is_none() {
            let rest = open.rows.split_off(CHUNK_ROWS);
            let chunk = std::mem::replace(&mut open.rows, rest);
            self.write_or_mark(open, chunk).await?;
        }
        if open.failed.is_some() {
            open.rows.clear();
        }
        Ok(())
    }

    /// The shard's rows are complete: upload and commit it beside what comes next.
    async fn end(
        &mut self,
        mut open: Open<O>,
        commits: &mut JoinSet<(Turn, Result<Committed>)>,
    ) -> Result<()> {
        self.watch.end_shard();
        if open.turn.again.is_some() && open.seen == 0 {
            // What was to be made again is not among the inputs any more.
            let _ = self.settled.send(Settled::Done);
            return Ok(());
        }
        let chunk = std::mem::take(&mut open.rows);
        if open.failed.is_none() && (!chunk.is_empty() || open.writers.is_empty()) {
            self.write_or_mark(&mut open, chunk).await?;
        }
        let planned = self.counted(&open.turn);
        self.progress.advance(planned.saturating_sub(open.seen));
        self.progress.extend(open.seen.saturating_sub(planned));
        commits.spawn(async move {
            let Open { turn, writers, quarantine, failed, .. } = open;
            let committed = match failed {
                Some(error) => Err(give_up(writers, error).await),
                None => commit(writers, quarantine, turn.again.as_deref()).await,
            };
            (turn, committed)
        });
        Ok(())
    }

    /// Samples that the progress counts on for a turn before it is made.
    fn counted(&self, turn: &Turn) -> u64 {
        let range = self.plan.range(turn.shard);
        match turn.again {
            Some(_) => 0,
            None => range.end - range.start,
        }
    }

    /// Writes a chunk; a passing error of the store marks the shard, any other ends the job.
    async fn write_or_mark(&self, open: &mut Open<O>, chunk: Vec<O>) -> Result<()> {
        match self.write(open, chunk).await {
            Err(error) if error.is_transient() => {
                open.failed = Some(error);
                Ok(())
            }
            result => result,
        }
    }

    async fn write(&self, open: &mut Open<O>, chunk: Vec<O>) -> Result<()> {
        let encode = Arc::clone(&self.encode);
        let batches = tokio::task::spawn_blocking(move || encode(chunk))
            .await
            .map_err(|error| StageError::Encode(error.into()))??;
        if batches.len() != self.datasets.len() {
            return Err(StageError::BatchCount {
                expected: self.datasets.len(),
                returned: batches.len(),
            });
        }
        if open.writers.is_empty() {
            open.writers = self.open_writers(open.turn.shard, &batches)?;
        }
        for (writer, batch) in open.writers.iter_mut().zip(batches) {
            writer.write(batch).await?;
        }
        Ok(())
    }

    fn open_writers(&self, shard: ShardIndex, batches: &[RecordBatch]) -> Result<Vec<ShardWriter>> {
        let pairs = self.datasets.iter().zip(batches);
        pairs
            .map(|(dataset, batch)| Ok(dataset.shard_writer(shard, batch.schema())?))
            .collect()
    }

    async fn join(
        &mut self,
        commits: &mut JoinSet<(Turn, Result<Committed>)>,
        written: &mut Written,
    ) -> Result<()> {
        match commits.join_next().await {
            Some(joined) => self.tally(flatten(joined), written),
            None => Ok(()),
        }
    }

    /// Counts a settled shard and tells the loader.
    fn tally(
        &mut self,
        joined: Result<(Turn, Result<Committed>)>,
        written: &mut Written,
    ) -> Result<()> {
        let (turn, result) = joined?;
        let settled = match result {
            Ok(committed) => {
                committed.count(written);
                Settled::Done
            }
            Err(error) if error.is_transient() => {
                self.progress.extend(self.counted(&turn));
                Settled::Again(turn, error)
            }
            Err(error) => return Err(error),
        };
        // The loader is gone after a stop, and then nothing is made again.
        let _ = self.settled.send(settled);
        Ok(())
    }
}

fn flatten<T>(joined: std::result::Result<T, tokio::task::JoinError>) -> Result<T> {
    joined.map_err(|error| StageError::Encode(error.into()))
}

/// A shard that exists now.
struct Committed {
    outcome: Outcome,
    rows: u64,
    quarantined: u64,
}

impl Committed {
    fn count(&self, written: &mut Written) {
        if self.outcome == Outcome::Lost {
            written.lost += 1;
            return;
        }
        written.committed += 1;
        written.rows += self.rows;
        written.quarantined += self.quarantined;
    }
}

/// Drops what was uploaded of a shard that the store failed.
async fn give_up(writers: Vec<ShardWriter>, error: StageError) -> StageError {
    for writer in writers {
        writer.abort().await;
    }
    error
}

/// Uploads the ends of all objects, then commits in order: the last dataset's commit is the one
/// that says that the shard is done, so it comes when all others are there.
async fn commit(
    writers: Vec<ShardWriter>,
    failed: Vec<QuarantineRow>,
    again: Option<&Again>,
) -> Result<Committed> {
    let left = match again {
        Some(again) => again.quarantine(failed.clone()),
        None => failed.clone(),
    };
    let mut shards: Vec<WrittenShard> = Vec::with_capacity(writers.len());
    for writer in writers {
        shards.push(writer.finish(&left).await?);
    }
    let mut committed = Committed {
        outcome: Outcome::Committed,
        rows: 0,
        quarantined: failed.len() as u64,
    };
    let mut shards = shards.into_iter();
    while let Some(shard) = shards.next() {
        let round = again.map(Again::round);
        let outcome = match round {
            None => shard.commit().await?,
            Some(Round::New(round) | Round::Begun(round)) => shard.commit_retry(round).await?,
        };
        let record = shard.record();
        tracing::info!(
            shard = %record.shard,
            rows = record.rows,
            quarantined = record.quarantined,
            bytes = record.bytes,
            ?outcome,
            "shard committed"
        );
        committed.outcome = outcome;
        committed.rows = record.rows;
        // Another pass's choice of samples may be in that round: what follows must be theirs too.
        if outcome == Outcome::Lost && matches!(round, Some(Round::New(_))) {
            for rest in shards.by_ref() {
                rest.discard().await;
            }
        }
    }
    Ok(committed)
}
