//! What a stage hands to the run loop.

use std::time::Duration;

use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use glass_dataset::Dataset;
use glass_schemas::dataset::QuarantineRow;
use glass_schemas::ids::{SampleId, ShardIndex};
use glass_schemas::plan::Plan;

use crate::condition::Condition;
use crate::earlier::Earlier;
use crate::error::StageError;
use crate::failure::Failure;
use crate::fill::SpillBound;
use crate::share::{Stragglers, WorkerSlot};

/// One input: ready for the worker, or already known to fail.
pub type Loaded<T> = Result<T, Failure>;

/// The inputs of one shard in the shard's order, read as they are asked for.
pub type ItemStream<'a, T> = BoxStream<'a, Result<Loaded<T>, StageError>>;

/// Reads and decodes the inputs of a shard while the worker computes.
pub trait Source: Send + Sync + 'static {
    /// What one call of the worker takes per sample: decoded pixels, a prompt with its seed …
    type Item: Send + 'static;

    /// The inputs of `shard`, in an order that is always the same: what comes later comes at the end.
    ///
    /// A broken sample is `Ok(Err(failure))` and goes into quarantine. `Err(error)` means the
    /// shard could not be read: a transient error is retried by calling `load` again and skipping
    /// what was already delivered, any other stops the job. At most [`Options::prefetch`] batches
    /// are held, so a shard larger than memory may be streamed.
    fn load(&self, shard: ShardIndex) -> ItemStream<'_, Self::Item>;

    /// The same without the first `first` inputs. Worth writing where inputs are costly to decode: an
    /// attempt that goes on where another ended skips what is made.
    fn load_from(&self, shard: ShardIndex, first: u64) -> ItemStream<'_, Self::Item> {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        self.load(shard).skip(first).boxed()
    }

    /// What an input is called: the name a [`Failure`] of it would have, and its sample.
    fn name(&self, item: &Self::Item) -> (String, SampleId);

    /// How many inputs the shard has now, where that can grow: an upstream dataset gains rows when
    /// its failed samples are made again. `None` for a source that is listed once.
    fn inputs(&self, _shard: ShardIndex) -> BoxFuture<'_, Result<Option<u64>, StageError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// The items of a shard that are read in one go, as the stream [`Source::load`] returns.
pub fn all_at_once<'a, T: Send + 'a>(items: BoxFuture<'a, Result<Vec<Loaded<T>>, StageError>>) -> ItemStream<'a, T> {
    stream::once(items).map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}

/// Computes one batch at a time on its own thread; owns the network.
pub trait Worker: Send + 'static {
    /// What [`Source`] delivers.
    type Item: Send + 'static;
    /// The row or rows made of one item; any type the encoding function understands.
    type Output: Send + 'static;

    /// One result per item, in order. A bad sample is a [`Failure`] of its own, never of the batch.
    ///
    /// The result of an item must not depend on the batch it came in: batch sizes are an
    /// execution detail and never change a sample.
    fn process(&mut self, batch: Vec<Self::Item>) -> Vec<Result<Self::Output, Failure>>;
}

/// Turns rows into one record batch per output dataset, in the order of [`Job::datasets`].
///
/// Runs on a blocking thread while the worker computes the next batch: compress images here.
/// A row must come out the same whatever rows it is encoded with: rows are cut into pieces anew
/// before they are written, so that a shard's bytes depend on neither batch sizes nor restarts.
pub type Encode<O> = Box<dyn Fn(Vec<O>) -> Result<Vec<RecordBatch>, StageError> + Send + Sync + 'static>;

/// Makes the worker, on the worker's thread, and only when there is a shard to do: a finished
/// dataset never loads weights.
pub type MakeWorker<W> = Box<dyn FnOnce() -> anyhow::Result<W> + Send + 'static>;

/// Everything [`crate::run`] needs.
pub struct Job<S, W: Worker> {
    /// Where rows go. The last one's commits say what is done; the others are committed first.
    pub datasets: Vec<Dataset>,
    /// Datasets with some of the same samples, which are adopted and not made again.
    pub earlier: Vec<Earlier>,
    /// The shards of the whole dataset, of which the worker takes its part.
    pub plan: Plan,
    /// The inputs.
    pub source: S,
    /// Loads the network.
    pub worker: MakeWorker<W>,
    /// Rows to Arrow.
    pub encode: Encode<W::Output>,
    /// How to run; nothing here changes a sample.
    pub options: Options,
}

/// When failing samples mean a broken job and not broken samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SystematicFailure {
    /// Stop when more than this share of a shard's samples failed …
    pub share: f64,
    /// … and at least this many samples of the shard were seen.
    pub samples: usize,
}

/// Which samples of a shard a pass makes.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Pass {
    /// All samples of the shards that are not committed.
    #[default]
    First,
    /// Of committed shards, the samples whose inputs came later, and these of the failed ones.
    Again(Failed),
    /// One sample of one shard, e.g. to compare it with what was made of it before.
    Only(ShardIndex, SampleId),
}

/// Which failed samples are made again.
#[derive(Clone, Debug, PartialEq)]
pub enum Failed {
    /// None.
    Leave,
    /// Those for which all conditions hold.
    Where(Vec<Condition>),
}

impl Failed {
    /// Whether this one is.
    pub fn takes(&self, row: &QuarantineRow) -> bool {
        match self {
            Self::Leave => false,
            Self::Where(conditions) => conditions.iter().all(|condition| condition.holds(row)),
        }
    }
}

/// Execution details of a job.
#[derive(Clone, Debug)]
pub struct Options {
    /// The part of the shards this process does.
    pub slot: WorkerSlot,
    /// Which samples of them.
    pub pass: Pass,
    /// Items handed to [`Worker::process`] at once; the last batch of a shard may be smaller.
    pub batch_size: usize,
    /// Batches read ahead of the worker.
    pub prefetch: usize,
    /// What to do when the own shards are done.
    pub stragglers: Stragglers,
    /// How long a worker that finishes no batch keeps a shard from the others that take stragglers;
    /// zero: not at all.
    pub lease: Duration,
    /// When to stop for a systematic failure.
    pub systematic: SystematicFailure,
    /// How much of a shard may be lost with this process.
    pub spill: SpillBound,
    /// Attempts at reading or writing a shard before a transient error stops the job.
    pub attempts: u32,
    /// Wait before the second attempt; doubles with each further one.
    pub backoff: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slot: WorkerSlot::ALONE,
            pass: Pass::First,
            batch_size: 8,
            prefetch: 2,
            stragglers: Stragglers::Leave,
            lease: Duration::ZERO,
            systematic: SystematicFailure { share: 0.5, samples: 20 },
            spill: SpillBound::NONE,
            attempts: 5,
            backoff: Duration::from_millis(500),
        }
    }
}
