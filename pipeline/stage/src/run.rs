//! The run loop: what is left to do, and the three parts of the pipeline that do it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use glass_dataset::Dataset;
use glass_schemas::ids::ShardIndex;
use glass_schemas::plan::assigned;
use tokio::sync::mpsc;

use crate::again::Again;
use crate::compute::{self, Pace};
use crate::earlier;
use crate::entry::Context;
use crate::error::{Result, StageError};
use crate::fill::{Output, SpillBound};
use crate::job::{Failed, Job, Options, Pass, Source, Worker};
use crate::lease::Leases;
use crate::load::{Loader, Turn};
use crate::share::Stragglers;
use crate::summary::{Ending, Summary};
use crate::system;
use crate::systematic::Watch;
use crate::write::{Writer, Written};

/// Batches of results that may wait for the writer.
const RESULTS_WAITING: usize = 2;
/// When a process that was asked to stop leaves, whatever is still under way: schedulers give ten
/// seconds.
const LEAVE: Duration = Duration::from_millis(8500);
/// Shards whose records are read at once to see whether something is left of them.
const SHARDS_LOOKED_AT: usize = 16;

/// Does this worker's part of the job: every shard that is not committed yet.
///
/// Returns when they are committed or when [`Context::stop`] is set (after the current batch;
/// nothing is half committed). A dataset that is complete already is reported and costs one list.
///
/// # Errors
/// A shard that cannot be read or written, a systematic failure, a worker that panicked or could
/// not be made. Shards committed before the error stay committed.
pub async fn run<S, W>(job: Job<S, W>, context: &Context) -> Result<Summary>
where
    S: Source,
    W: Worker<Item = S::Item>,
{
    let head = job.datasets.last().cloned().ok_or(StageError::BatchCount { expected: 0, returned: 0 })?;
    let shards = job.plan.shards();
    let (committed, adopted) = adopt(&job, &head).await?;
    let work = match &job.options.pass {
        Pass::First => shards_to_do(shards, &job.options, |shard| !committed.contains(&shard)),
        Pass::Only(shard, _) => vec![*shard],
        Pass::Again(failed) => {
            let done = shards_to_do(shards, &job.options, |shard| committed.contains(&shard));
            with_something_left(&job, done, failed).await?
        }
    };
    let mut summary = Summary {
        datasets: job.datasets.iter().map(|dataset| dataset.id().clone()).collect(),
        ending: Ending::NothingToDo,
        shards_planned: shards,
        shards_before: u32::try_from(committed.len()).unwrap_or(u32::MAX),
        shards_committed: 0,
        shards_lost: 0,
        rows: 0,
        quarantined: 0,
        restored: 0,
        shards_adopted: adopted,
        pace: Pace::default(),
    };
    if work.is_empty() {
        finish(&job.datasets).await?;
        tracing::info!(dataset = %head.id(), shards, "nothing to do: every shard of this worker is committed");
        return Ok(summary);
    }
    tracing::info!(
        dataset = %head.id(),
        shards,
        committed = committed.len(),
        to_do = work.len(),
        worker = job.options.slot.index,
        workers = job.options.slot.count,
        "starting"
    );

    let datasets = job.datasets.clone();
    let asked = work.len();
    let (found, pace, written) = pipeline(job, context, work).await?;
    summary.pace = pace;
    summary.shards_committed = written.committed;
    summary.shards_lost = written.lost;
    summary.rows = written.rows;
    summary.quarantined = written.quarantined;
    summary.restored = written.restored;
    let settled = (written.committed + written.lost + found) as usize;
    summary.ending = if settled < asked { Ending::Interrupted } else { Ending::Complete };
    if summary.ending == Ending::Complete {
        finish(&datasets).await?;
    }
    tracing::info!(
        dataset = %head.id(),
        ending = ?summary.ending,
        committed = summary.shards_committed,
        lost = summary.shards_lost,
        rows = summary.rows,
        quarantined = summary.quarantined,
        restored = summary.restored,
        loading_seconds = pace.loading.as_secs_f64(),
        computing_seconds = pace.computing.as_secs_f64(),
        computed = pace.samples,
        peak_memory = system::peak_memory(),
        "ended"
    );
    Ok(summary)
}

/// The shards that are committed, with those that this worker would make and an earlier dataset has.
async fn adopt<S, W>(job: &Job<S, W>, head: &Dataset) -> Result<(BTreeSet<ShardIndex>, u32)>
where
    S: Source,
    W: Worker<Item = S::Item>,
{
    let committed = head.committed().await?;
    if job.options.pass != Pass::First || job.earlier.is_empty() {
        return Ok((committed, 0));
    }
    let missing = |shard: ShardIndex| !committed.contains(&shard);
    let wanted = shards_to_do(job.plan.shards(), &job.options, missing);
    let adopted = earlier::adopt(&job.datasets, job.plan, &job.earlier, &wanted).await?;
    match adopted {
        0 => Ok((committed, 0)),
        _ => Ok((head.committed().await?, adopted)),
    }
}

/// The worker's own shards first, then, if asked for, the others' from the end.
fn shards_to_do(shards: u32, options: &Options, wanted: impl Fn(ShardIndex) -> bool) -> Vec<ShardIndex> {
    let slot = options.slot;
    let mut work: Vec<ShardIndex> = assigned(shards, slot.index, slot.count).collect();
    if options.stragglers == Stragglers::Take {
        let others = (0..shards).rev().map(ShardIndex);
        work.extend(others.filter(|shard| shard.0 % slot.count != slot.index));
    }
    work.retain(|shard| wanted(*shard));
    work
}

/// The shards with a sample to make again; looked at several at once, nothing of them kept.
async fn with_something_left<S, W>(job: &Job<S, W>, shards: Vec<ShardIndex>, failed: &Failed) -> Result<Vec<ShardIndex>>
where
    S: Source,
    W: Worker<Item = S::Item>,
{
    stream::iter(shards)
        .map(|shard| async move {
            let again = Again::of_shard(&job.datasets, &job.source, shard, failed).await?;
            Ok(again.map(|_| shard))
        })
        .buffered(SHARDS_LOOKED_AT)
        .try_filter_map(|left| std::future::ready(Ok(left)))
        .try_collect()
        .await
}

/// Loader, worker and writer, joined by bounded channels; the first error ends all three.
async fn pipeline<S, W>(job: Job<S, W>, context: &Context, work: Vec<ShardIndex>) -> Result<(u32, Pace, Written)>
where
    S: Source,
    W: Worker<Item = S::Item>,
{
    let options = job.options;
    let total = work.iter().map(|shard| job.plan.range(*shard)).map(|range| range.end - range.start);
    let total = match options.pass {
        Pass::First => total.sum(),
        // Counted as they are found.
        Pass::Again(_) | Pass::Only(..) => 0,
    };
    let progress = context.progress.task(context.name, "samples", total);
    let (feed, fed) = mpsc::channel(options.prefetch.max(1));
    let (made, results) = mpsc::channel(RESULTS_WAITING);
    let (settle, settled) = mpsc::unbounded_channel();

    let first = options.pass == Pass::First;
    let leases = leases(&job.datasets, &options).map(Arc::new);
    let loader = Loader {
        source: Arc::new(job.source),
        datasets: job.datasets.clone(),
        pass: options.pass,
        queue: work.into_iter().map(Turn::first).collect(),
        batch_size: options.batch_size.max(1),
        attempts: options.attempts.max(1),
        backoff: options.backoff,
        stop: context.stop.clone(),
        leases: leases.clone(),
        feed,
        settled,
    };
    let writer = Writer {
        stage: context.name,
        output: Output {
            datasets: job.datasets,
            encode: Arc::new(job.encode),
            spill: match first {
                true => options.spill,
                false => SpillBound::NONE,
            },
        },
        plan: job.plan,
        made: results,
        settled: settle,
        watch: Watch::new(options.systematic),
        progress: progress.clone(),
        stop: context.stop.clone(),
        leases,
    };
    let worker = compute::run(job.worker, fed, made, context.stop.clone());
    let loader = task(tokio::spawn(loader.run()));
    let writer = task(tokio::spawn(writer.run()));
    let stop = context.stop.clone();
    let joined = tokio::select! {
        joined = async { tokio::try_join!(loader, worker, writer) } => joined,
        // Whatever is cut off here is what a crash at this moment would cut off.
        () = stop.later(LEAVE) => {
            tracing::warn!("leaving: the store has not answered in time");
            Ok((0, Pace::default(), Written::default()))
        }
    };
    progress.finish();
    joined
}

/// Leases for workers that take each other's shards; others have no use for them.
fn leases(datasets: &[Dataset], options: &Options) -> Option<Leases> {
    let wanted = options.stragglers == Stragglers::Take && options.pass == Pass::First && !options.lease.is_zero();
    let head = datasets.last().filter(|_| wanted)?;
    Some(Leases::new(head.clone(), options.slot, options.lease))
}

/// A spawned part of the pipeline that ends with the future that waits for it.
async fn task<T>(handle: tokio::task::JoinHandle<Result<T>>) -> Result<T> {
    struct AbortOnDrop(tokio::task::AbortHandle);
    impl Drop for AbortOnDrop {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let _guard = AbortOnDrop(handle.abort_handle());
    handle.await.unwrap_or_else(|error| Err(StageError::Panicked(error.to_string())))
}

/// Writes the manifests of the datasets whose shards are all there.
async fn finish(datasets: &[Dataset]) -> Result<()> {
    for dataset in datasets {
        if let Some(manifest) = dataset.finish().await? {
            tracing::info!(
                dataset = %dataset.id(),
                rows = manifest.rows,
                quarantined = manifest.quarantined,
                coverage = manifest.coverage(),
                "dataset complete"
            );
        }
    }
    Ok(())
}
