//! The writing end of the pipeline: rows to committed shards.

use std::sync::Arc;
use std::time::Duration;

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
use crate::fill::{Filling, Output};
use crate::lease::Leases;
use crate::load::{Settled, Turn};
use crate::progress::Task;
use crate::signals::Stop;
use crate::systematic::Watch;

/// Shards being uploaded and committed while the next one is made.
const COMMITS_IN_FLIGHT: usize = 2;
/// How long the worker's last batch may take after a stop was asked for.
pub(crate) const LAST_BATCH: Duration = Duration::from_secs(4);

/// What the writer did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) committed: u32,
    pub(crate) lost: u32,
    pub(crate) rows: u64,
    pub(crate) quarantined: u64,
    /// Inputs that were taken from spills.
    pub(crate) restored: u64,
}

pub(crate) struct Writer<O> {
    pub(crate) stage: &'static str,
    pub(crate) output: Output<O>,
    pub(crate) plan: Plan,
    pub(crate) made: mpsc::Receiver<Made<O>>,
    pub(crate) settled: mpsc::UnboundedSender<Settled>,
    pub(crate) watch: Watch,
    pub(crate) progress: Task,
    pub(crate) stop: Stop,
    pub(crate) leases: Option<Arc<Leases>>,
}

impl<O: Send + 'static> Writer<O> {
    /// Writes what the worker makes until it has no more to give. What there is of a shard that is
    /// not complete then is put aside.
    pub(crate) async fn run(mut self) -> Result<Written> {
        let mut written = Written::default();
        let mut commits = JoinSet::new();
        let mut open: Option<Filling<O>> = None;
        let abandoned = self.stop.clone().later(LAST_BATCH);
        let mut abandoned = std::pin::pin!(abandoned);
        loop {
            // Both at once: the loader waits for the last commits before it ends the feed.
            let made = tokio::select! {
                made = self.made.recv() => made,
                Some(joined) = commits.join_next() => {
                    self.tally(flatten(joined), &mut written)?;
                    continue;
                }
                () = &mut abandoned => None,
            };
            let Some(made) = made else {
                break;
            };
            match made {
                Made::Batch { shard, results } => {
                    let filling = self.open(&mut open, shard, &mut written).await?;
                    self.append(filling, results).await?;
                }
                Made::End(turn) => {
                    self.open(&mut open, turn, &mut written).await?;
                    while commits.len() >= COMMITS_IN_FLIGHT {
                        self.join(&mut commits, &mut written).await?;
                    }
                    if let Some(filling) = open.take() {
                        self.end(filling, &mut commits).await?;
                    }
                }
            }
        }
        if let Some(mut filling) = open {
            filling.spill(&self.output).await?;
            filling.abort().await;
        }
        while !commits.is_empty() {
            self.join(&mut commits, &mut written).await?;
        }
        Ok(written)
    }

    /// The shard that is being filled; a new one begins with what earlier attempts put aside.
    async fn open<'a>(
        &mut self,
        open: &'a mut Option<Filling<O>>,
        turn: Turn,
        written: &mut Written,
    ) -> Result<&'a mut Filling<O>> {
        let filling = match open.take() {
            Some(filling) => filling,
            None => self.begin(turn, written).await?,
        };
        Ok(open.insert(filling))
    }

    async fn begin(&mut self, turn: Turn, written: &mut Written) -> Result<Filling<O>> {
        let mut filling = Filling::new(turn, &self.output);
        let rows = filling.restore(&self.output).await?;
        for _ in 0..rows {
            self.watch.success();
        }
        for row in &filling.quarantine {
            self.watch.failure(&Failure::from_row(row));
        }
        if filling.seen > 0 {
            tracing::info!(shard = %filling.turn.shard, inputs = filling.seen, "taken up where an earlier attempt ended");
            self.progress.advance(filling.seen);
            written.restored += filling.seen;
        }
        Ok(filling)
    }

    async fn append(&mut self, open: &mut Filling<O>, results: Vec<Result<O, Failure>>) -> Result<()> {
        let count = results.len() as u64;
        open.seen += count;
        for result in results {
            match result {
                Ok(row) => {
                    self.watch.success();
                    open.push(row);
                }
                Err(failure) => {
                    tracing::debug!(item = failure.item, class = %failure.class, message = failure.message, "sample failed");
                    self.watch.failure(&failure);
                    let Turn { shard, attempt, again, .. } = &open.turn;
                    open.quarantine.push(match again {
                        Some(again) => again.failed(failure, self.stage, *shard),
                        None => failure.into_row(self.stage, *shard, *attempt),
                    });
                }
            }
        }
        self.watch.check(open.turn.shard)?;
        self.progress.advance(count);
        if let Some(leases) = &self.leases {
            leases.progress(open.turn.shard).await;
        }
        open.settle(&self.output).await
    }

    /// The shard's rows are complete: upload and commit it beside what comes next.
    async fn end(&mut self, mut open: Filling<O>, commits: &mut JoinSet<(Turn, Result<Committed>)>) -> Result<()> {
        self.watch.end_shard();
        if open.turn.again.is_some() && open.seen == 0 {
            // What was to be made again is not among the inputs any more.
            let _ = self.settled.send(Settled::Done(open.turn.shard));
            return Ok(());
        }
        open.end(&self.output).await?;
        let planned = self.counted(&open.turn);
        self.progress.advance(planned.saturating_sub(open.seen));
        self.progress.extend(open.seen.saturating_sub(planned));
        let spent = match open.has_spills() {
            true => self.output.datasets.clone(),
            false => Vec::new(),
        };
        commits.spawn(async move {
            let (turn, writers, quarantine, failed) = open.into_parts().await;
            let committed = match failed {
                Some(error) => Err(give_up(writers, error).await),
                None => commit(writers, quarantine, turn.again.as_deref()).await,
            };
            if committed.is_ok() {
                drop_spills(&spent, turn.shard).await;
            }
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

    async fn join(&mut self, commits: &mut JoinSet<(Turn, Result<Committed>)>, written: &mut Written) -> Result<()> {
        match commits.join_next().await {
            Some(joined) => self.tally(flatten(joined), written),
            None => Ok(()),
        }
    }

    /// Counts a settled shard and tells the loader.
    fn tally(&mut self, joined: Result<(Turn, Result<Committed>)>, written: &mut Written) -> Result<()> {
        let (turn, result) = joined?;
        let settled = match result {
            Ok(committed) => {
                committed.count(written);
                Settled::Done(turn.shard)
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

/// Removes what was put aside of a shard that is committed; what is left is garbage collection's.
async fn drop_spills(datasets: &[Dataset], shard: ShardIndex) {
    for dataset in datasets {
        if let Err(error) = dataset.drop_spills(shard).await {
            tracing::warn!(dataset = %dataset.id(), %shard, %error, "spills of a committed shard stay behind");
        }
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
async fn commit(writers: Vec<ShardWriter>, failed: Vec<QuarantineRow>, again: Option<&Again>) -> Result<Committed> {
    let left = match again {
        Some(again) => again.quarantine(failed.clone()),
        None => failed.clone(),
    };
    let mut shards: Vec<WrittenShard> = Vec::with_capacity(writers.len());
    for writer in writers {
        shards.push(writer.finish(&left).await?);
    }
    let mut committed = Committed { outcome: Outcome::Committed, rows: 0, quarantined: failed.len() as u64 };
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
