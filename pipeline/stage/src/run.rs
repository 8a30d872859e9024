//! The run loop.

use crate::entry::Context;
use crate::error::Result;
use crate::job::{Job, Source, Worker};
use crate::summary::Summary;

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
    todo!()
}
