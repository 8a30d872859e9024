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
use crate::lease::{self, Leases};
use crate::signals::Stop;
use crate::spilled::Taken;

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
    /// What earlier attempts put aside of it.
    pub(crate) taken: Arc<Taken>,
    pub(crate) spills: Spills,
}

/// Whether an attempt may begin with what earlier ones put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spills {
    Take,
    /// One of them could not be read.
    Ignore,
}

impl Turn {
    /// The first attempt of this process at a shard.
    pub(crate) fn first(shard: ShardIndex) -> Self {
        Self { shard, attempt: 1, again: None, taken: Arc::default(), spills: Spills::Take }
    }
}

/// What the writer tells the loader of a shard.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It is committed, by us or by another attempt.
    Done(ShardIndex),
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
    pub(crate) leases: Option<Arc<Leases>>,
    pub(crate) feed: mpsc::Sender<Feed<S::Item>>,
    pub(crate) settled: mpsc::UnboundedReceiver<Settled>,
}

/// What the look at a shard came to, before it is made.
enum Begun {
    /// There is nothing to make.
    Committed,
    /// Another worker is at it.
    Others(Turn),
    /// It is made.
    Ours(Turn),
}

/// What ended a wait.
enum Waited {
    Settled(Settled),
    LookAgain,
    /// A stop, or nobody is there to settle anything.
    Over,
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
        let found = self.feed_all().await;
        if let Some(leases) = &self.leases {
            leases.give_all_back().await;
        }
        found
    }

    async fn feed_all(&mut self) -> Result<u32> {
        let mut outstanding = 0_usize;
        let mut found = 0;
        // Shards in a row that other workers are at: when it is all that are left, there is time.
        let mut held = 0_usize;
        while !self.stop.is_set() {
            while let Ok(settled) = self.settled.try_recv() {
                outstanding -= 1;
                self.settle(settled).await?;
            }
            if held >= self.queue.len() {
                if self.queue.is_empty() && outstanding == 0 {
                    break;
                }
                held = 0;
                match self.wait_for_others().await {
                    Waited::Settled(settled) => {
                        outstanding -= 1;
                        self.settle(settled).await?;
                        continue;
                    }
                    Waited::LookAgain => {}
                    Waited::Over => break,
                }
            }
            let Some(turn) = self.queue.pop_front() else {
                continue;
            };
            match self.begin(turn).await? {
                Begun::Committed => found += 1,
                Begun::Others(turn) => {
                    held += 1;
                    self.queue.push_back(turn);
                }
                Begun::Ours(turn) => {
                    held = 0;
                    outstanding += 1;
                    if let Next::Finish = self.feed_shard(turn).await? {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Waits until a shard of ours is settled or others' are worth another look.
    async fn wait_for_others(&mut self) -> Waited {
        let pause = match (&self.leases, self.queue.is_empty()) {
            (Some(leases), false) => leases.pause(),
            _ => Duration::MAX,
        };
        tokio::select! {
            settled = self.settled.recv() => settled.map_or(Waited::Over, Waited::Settled),
            () = self.stop.wait() => Waited::Over,
            () = tokio::time::sleep(pause) => Waited::LookAgain,
        }
    }

    /// The turn, unless another worker has done it since the listing, which was long ago, or is at it.
    async fn begin(&self, turn: Turn) -> Result<Begun> {
        if let Pass::Again(failed) = &self.pass {
            let again = Again::of_shard(&self.datasets, &*self.source, turn.shard, failed).await?;
            return Ok(match again {
                Some(again) => Begun::Ours(Turn { again: Some(Arc::new(again)), ..turn }),
                None => Begun::Committed,
            });
        }
        let Some(head) = self.datasets.last() else {
            return Ok(Begun::Committed);
        };
        match head.commit(turn.shard).await {
            Ok(_) => return Ok(Begun::Committed),
            Err(glass_dataset::DatasetError::NotCommitted { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(leases) = &self.leases
            && leases.take(turn.shard).await == lease::Taken::Others
        {
            return Ok(Begun::Others(turn));
        }
        if self.pass != Pass::First || turn.spills == Spills::Ignore {
            return Ok(Begun::Ours(Turn { taken: Arc::default(), ..turn }));
        }
        let taken = Taken::of_shard(&self.datasets, turn.shard).await?;
        Ok(Begun::Ours(Turn { taken: Arc::new(taken), ..turn }))
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
        let (turn, error) = match settled {
            Settled::Again(turn, error) => (turn, error),
            Settled::Done(shard) => {
                if let Some(leases) = &self.leases {
                    leases.give_back(shard).await;
                }
                return Ok(());
            }
        };
        let spills = match error {
            StageError::Spill { .. } => Spills::Ignore,
            _ => turn.spills,
        };
        if turn.attempt >= self.attempts {
            return Err(error);
        }
        tracing::warn!(shard = %turn.shard, attempt = turn.attempt, %error, "the shard will be made again");
        self.wait(turn.attempt).await;
        self.queue.push_back(Turn { attempt: turn.attempt + 1, spills, ..turn });
        Ok(())
    }

    /// Feeds one shard; a transient error reads it again and skips what was delivered.
    async fn feed_shard(&self, turn: Turn) -> Result<Next> {
        let mut delivered = turn.taken.end();
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

    async fn feed_from(&self, turn: &Turn, delivered: &mut u64) -> Result<Next> {
        let taken = |input: &Result<Loaded<S::Item>>| {
            std::future::ready(input.as_ref().map_or(true, |input| self.takes(turn, input)))
        };
        let mut items = match self.pass {
            Pass::First => self.source.load_from(turn.shard, *delivered),
            Pass::Again(_) | Pass::Only(..) => {
                let done = usize::try_from(*delivered).unwrap_or(usize::MAX);
                self.source.load(turn.shard).filter(taken).skip(done).boxed()
            }
        };
        let mut batch = Vec::with_capacity(self.batch_size);
        while let Some(item) = items.next().await {
            batch.push(item?);
            if batch.len() == self.batch_size {
                *delivered += batch.len() as u64;
                let items = std::mem::replace(&mut batch, Vec::with_capacity(self.batch_size));
                if let Next::Finish = self.send(Feed::Batch { shard: turn.clone(), items }).await {
                    return Ok(Next::Finish);
                }
            }
        }
        if !batch.is_empty() {
            *delivered += batch.len() as u64;
            if let Next::Finish = self.send(Feed::Batch { shard: turn.clone(), items: batch }).await {
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
