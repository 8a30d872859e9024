//! The middle of the pipeline: the worker on its own thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::error::{Result, StageError};
use crate::failure::Failure;
use crate::job::{Loaded, MakeWorker, Worker};
use crate::load::{Feed, Turn};
use crate::signals::Stop;
use crate::write::LAST_BATCH;

/// What the worker hands to the writer.
pub(crate) enum Made<T> {
    /// Results of some inputs of a shard, in order.
    Batch {
        /// The shard they belong to.
        shard: Turn,
        /// Rows and failures.
        results: Vec<Result<T, Failure>>,
    },
    /// A shard is complete.
    End(Turn),
}

/// Where a worker's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Until the worker was made: its networks loaded.
    pub loading: Duration,
    /// Inside [`Worker::process`].
    pub computing: Duration,
    /// Samples that went through it.
    pub samples: u64,
}

/// Runs the worker on a thread of its own until the feed ends or a stop is asked for.
///
/// The thread is not joined when the future is dropped, nor when a batch takes longer than a stop
/// leaves time for: a network call cannot be interrupted, and whatever it still makes goes nowhere.
pub(crate) async fn run<W: Worker>(
    make: MakeWorker<W>,
    feed: mpsc::Receiver<Feed<W::Item>>,
    made: mpsc::Sender<Made<W::Output>>,
    stop: Stop,
) -> Result<Pace> {
    let (sender, receiver) = oneshot::channel();
    let leaving = stop.clone();
    let thread = std::thread::Builder::new().name("worker".to_owned());
    let body = move || {
        let body = AssertUnwindSafe(|| work(make, feed, made, &stop));
        let result =
            catch_unwind(body).unwrap_or_else(|payload| Err(StageError::Panicked(panic_message(payload.as_ref()))));
        // Nobody listens any more after another part of the pipeline failed.
        let _ = sender.send(result);
    };
    thread.spawn(body).map_err(|error| StageError::Worker(error.into()))?;
    tokio::select! {
        ended = receiver => {
            ended.unwrap_or_else(|_| Err(StageError::Panicked("the thread was lost".to_owned())))
        }
        () = leaving.later(LAST_BATCH) => {
            tracing::warn!("the batch under way is abandoned");
            Ok(Pace::default())
        }
    }
}

fn work<W: Worker>(
    make: MakeWorker<W>,
    mut feed: mpsc::Receiver<Feed<W::Item>>,
    made: mpsc::Sender<Made<W::Output>>,
    stop: &Stop,
) -> Result<Pace> {
    let started = Instant::now();
    let mut worker = make().map_err(StageError::Worker)?;
    let mut pace = Pace { loading: started.elapsed(), ..Pace::default() };
    while let Some(next) = feed.blocking_recv() {
        if stop.is_set() {
            return Ok(pace);
        }
        let next = match next {
            Feed::End(shard) => Made::End(shard),
            Feed::Batch { shard, items } => {
                let started = Instant::now();
                pace.samples += items.len() as u64;
                let results = process(&mut worker, &shard, items)?;
                pace.computing += started.elapsed();
                Made::Batch { shard, results }
            }
        };
        if made.blocking_send(next).is_err() {
            return Ok(pace);
        }
    }
    Ok(pace)
}

/// Runs the sound items through the worker and puts the failures back in their places.
fn process<W: Worker>(
    worker: &mut W,
    turn: &Turn,
    items: Vec<Loaded<W::Item>>,
) -> Result<Vec<Result<W::Output, Failure>>> {
    let mut batch = Vec::with_capacity(items.len());
    let mut failures = Vec::with_capacity(items.len());
    for item in items {
        failures.push(match item {
            Ok(item) => {
                batch.push(item);
                None
            }
            Err(failure) => Some(failure),
        });
    }
    let given = batch.len();
    let made = if given == 0 { Vec::new() } else { worker.process(batch) };
    if made.len() != given {
        return Err(StageError::ResultCount { shard: turn.shard, given, returned: made.len() });
    }
    let mut made = made.into_iter();
    let results = failures.into_iter().filter_map(|failure| match failure {
        Some(failure) => Some(Err(failure)),
        None => made.next(),
    });
    Ok(results.collect())
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
