//! The reading end of the pipeline: shards to batches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt;
use glass_dataset::Dataset;
use glass_schemas::ids::ShardIndex;
use tokio::sync::mpsc;

use crate::again::Again;
use crate::error::{Result, StageError};
use crate::job::{Loaded, Pass, Source};
use crate::signals::Stop;

/// What the loader hands to the worker.
pub(crate) enum Feed<T> {
    /// Some inputs of a shard, in order.
    Batch {
        /// The shard they belong to.
        shard: Turn,
        /// Inputs and known failures.
        items: Vec<Loaded<T>>,
    },
    /// A shard's inputs are complete.
    End(Turn),
}

/// A shard and how often it was begun.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) shard: ShardIndex,
    /// From 1.
    pub(crate) attempt: u32,
    /// What is made of it, where it was committed before.
    pub(crate) again: Option<Arc<Again>>,
}

/// What the writer tells the loader of a shard.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It is committed, by us or by another attempt.
    Done,
    /// The store failed for a passing reason; the shard has to be made again.
    Again(Turn, StageError),
}

pub(crate) struct Loader<S: Source> {
    pub(crate) source: Arc<S>,
    pub(crate) datasets: Vec<Dataset>,
    pub(crate) pass: Pass,
    pub(crate) queue: VecDeque<Turn>,
    pub(crate) batch_size: usize,
    pub(crate) attempts: u32,
    pub(crate) backoff: Duration,
    pub(crate) stop: Stop,
    pub(crate) feed: mpsc::Sender<Feed<S::Item>>,
    pub(crate) settled: mpsc::UnboundedReceiver<Settled>,
}

/// Whether the loader should go on.
enum Next {
    Continue,
    Finish,
}

impl<S: Source> Loader<S> {
    /// Feeds every shard of the queue and those that come back, until all are settled or a stop is
    /// asked for. Returns the number of shards that turned out to be committed already.
    pub(crate) async fn run(mut self) -> Result<u32> {
        let mut outstanding = 0_usize;
        let mut found = 0;
        while !self.stop.is_set() {
            while let Ok(settled) = self.settled.try_recv() {
                outstanding -= 1;
                self.settle(settled).await?;
            }
            let Some(turn) = self.queue.pop_front() else {
                if outstanding == 0 {
                    break;
                }
                let settled = tokio::select! {
                    settled = self.settled.recv() => settled,
                    () = self.stop.wait() => None,
                };
                let Some(settled) = settled else {
                    break;
                };
                outstanding -= 1;
                self.settle(settled).await?;
                continue;
            };
            let Some(turn) = self.begin(turn).await? else {
                found += 1;
                continue;
            };
            outstanding += 1;
            if let Next::Finish = self.feed_shard(turn).await? {
                break;
            }
        }
        Ok(found)
    }

    /// The turn, unless another worker has done it since the listing, which was long ago.
    async fn begin(&self, turn: Turn) -> Result<Option<Turn>> {
        if let Pass::Again(failed) = &self.pass {
            let again = Again::of_shard(&self.datasets, &*self.source, turn.shard, failed).await?;
            return Ok(again.map(|again| Turn { again: Some(Arc::new(again)), ..turn }));
        }
        match self.datasets.last() {
            Some(head) => match head.commit(turn.shard).await {
                Ok(_) => Ok(None),
                Err(glass_dataset::DatasetError::NotCommitted { .. }) => Ok(Some(turn)),
                Err(error) => Err(error.into()),
            },
            None => Ok(None),
        }
    }

    /// Whether this input is part of the pass.
    fn takes(&self, turn: &Turn, input: &Loaded<S::Item>) -> bool {
        match (&turn.again, &self.pass) {
            (Some(again), _) => again.takes(&*self.source, input),
            (None, Pass::Only(_, only)) => match input {
                Ok(item) => self.source.name(item).1 == *only,
                Err(failure) => failure.sample_id == Some(*only),
            },
            (None, Pass::First | Pass::Again(_)) => true,
        }
    }

    async fn settle(&mut self, settled: Settled) -> Result<()> {
        let Settled::Again(turn, error) = settled else {
            return Ok(());
        };
        if turn.attempt >= self.attempts {
            return Err(error);
        }
        tracing::warn!(shard = %turn.shard, attempt = turn.attempt, %error, "the shard will be made again");
        self.wait(turn.attempt).await;
        self.queue.push_back(Turn {
            attempt: turn.attempt + 1,
            ..turn
        });
        Ok(())
    }

    /// Feeds one shard; a transient error reads it again and skips what was delivered.
    async fn feed_shard(&self, turn: Turn) -> Result<Next> {
        let mut delivered = 0;
        let mut failed = 0;
        loop {
            match self.feed_from(&turn, &mut delivered).await {
                Err(error) if error.is_transient() && failed + 1 < self.attempts => {
                    failed += 1;
                    tracing::warn!(shard = %turn.shard, %error, "reading failed, trying again");
                    self.wait(failed).await;
                    if self.stop.is_set() {
                        return Ok(Next::Finish);
                    }
                }
                result => return result,
            }
        }
    }

    async fn feed_from(&self, turn: &Turn, delivered: &mut usize) -> Result<Next> {
        let taken = |input: &Result<Loaded<S::Item>>| {
            std::future::ready(input.as_ref().map_or(true, |input| self.takes(turn, input)))
        };
        let mut items = self.source.load(turn.shard).filter(taken).skip(*delivered);
        let mut batch = Vec::with_capacity(self.batch_size);
        while let Some(item) = items.next().await {
            batch.push(item?);
            if batch.len() == self.batch_size {
                *delivered += batch.len();
                let items = std::mem::replace(&mut batch, Vec::with_capacity(self.batch_size));
                if let Next::Finish = self.send(Feed::Batch { shard: turn.clone(), items }).await {
                    return Ok(Next::Finish);
                }
            }
        }
        if !batch.is_empty() {
            *delivered += batch.len();
            if let Next::Finish = self
                .send(Feed::Batch {
                    shard: turn.clone(),
                    items: batch,
                })
                .await
            {
                return Ok(Next::Finish);
            }
        }
        Ok(self.send(Feed::End(turn.clone())).await)
    }

    /// Sends, unless a stop is asked for or the worker is gone.
    async fn send(&self, feed: Feed<S::Item>) -> Next {
        tokio::select! {
            sent = self.feed.send(feed) => if sent.is_ok() { Next::Continue } else { Next::Finish },
            () = self.stop.wait() => Next::Finish,
        }
    }

    async fn wait(&self, failed: u32) {
        let wait = self.backoff * 2_u32.saturating_pow(failed.saturating_sub(1).min(6));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.stop.wait() => {}
        }
    }
}
