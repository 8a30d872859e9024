//! Leases of shards among workers that take each other's.
//!
//! They spare work and guard nothing: every error of the store is answered with "it is ours", and the
//! commit decides. A lease is over when its holder has finished no batch for its whole time, as seen by
//! the one who waits; no two clocks are compared.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glass_dataset::{Attempt, Claim, Dataset, Lease};
use glass_schemas::ids::ShardIndex;

use crate::share::WorkerSlot;

/// A lease is renewed after this part of its time, when a batch is finished.
const RENEWALS: u32 = 3;
/// Longest and shortest wait before others' leases are looked at once more.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(10));

/// The leases of this process.
#[derive(Debug)]
pub(crate) struct Leases {
    dataset: Dataset,
    worker: String,
    attempt: String,
    time: Duration,
    held: Mutex<HashMap<ShardIndex, Held>>,
    others: Mutex<HashMap<ShardIndex, (Lease, Instant)>>,
}

#[derive(Debug)]
struct Held {
    beat: u64,
    renewed: Instant,
}

/// Whether a shard is ours to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Ours,
    /// Another worker is at it.
    Others,
}

impl Leases {
    pub(crate) fn new(dataset: Dataset, slot: WorkerSlot, time: Duration) -> Self {
        Self {
            dataset,
            worker: name(slot),
            attempt: Attempt::new().to_string(),
            time,
            held: Mutex::default(),
            others: Mutex::default(),
        }
    }

    /// Takes a shard's lease, unless another worker has it and goes on.
    pub(crate) async fn take(&self, shard: ShardIndex) -> Taken {
        let lease = self.lease(0);
        let found = match self.dataset.claim(shard, &lease).await {
            Ok(Claim::New) => None,
            Ok(Claim::Found(found)) => Some(found),
            Err(error) => {
                tracing::debug!(%shard, %error, "no lease; the shard is made all the same");
                None
            }
        };
        if let Some(found) = found {
            if found.worker != self.worker && self.goes_on(shard, found) {
                return Taken::Others;
            }
            tracing::debug!(%shard, "a lease that nobody renews is taken over");
            self.put(shard, 0).await;
        }
        lock(&self.others).remove(&shard);
        lock(&self.held).insert(shard, Held { beat: 0, renewed: Instant::now() });
        Taken::Ours
    }

    /// Whether another's lease was renewed within its time, as far as we have watched it.
    fn goes_on(&self, shard: ShardIndex, found: Lease) -> bool {
        let mut others = lock(&self.others);
        match others.get(&shard) {
            Some((before, since)) if *before == found => since.elapsed() < self.time,
            _ => {
                others.insert(shard, (found, Instant::now()));
                true
            }
        }
    }

    /// A batch of this shard was finished: renews the lease from time to time.
    pub(crate) async fn progress(&self, shard: ShardIndex) {
        let beat = {
            let mut held = lock(&self.held);
            match held.get_mut(&shard) {
                Some(held) if held.renewed.elapsed() >= self.time / RENEWALS => {
                    held.renewed = Instant::now();
                    held.beat += 1;
                    held.beat
                }
                _ => return,
            }
        };
        self.put(shard, beat).await;
    }

    /// The shard is settled.
    pub(crate) async fn give_back(&self, shard: ShardIndex) {
        if lock(&self.held).remove(&shard).is_none() {
            return;
        }
        if let Err(error) = self.dataset.release(shard).await {
            tracing::debug!(%shard, %error, "a lease stays behind");
        }
    }

    /// Whoever starts next need not wait for ours.
    pub(crate) async fn give_all_back(&self) {
        let shards: Vec<ShardIndex> = lock(&self.held).keys().copied().collect();
        for shard in shards {
            self.give_back(shard).await;
        }
    }

    /// The wait before others' leases are looked at once more.
    pub(crate) fn pause(&self) -> Duration {
        (self.time / 8).clamp(LOOK.0, LOOK.1)
    }

    async fn put(&self, shard: ShardIndex, beat: u64) {
        if let Err(error) = self.dataset.renew(shard, &self.lease(beat)).await {
            tracing::debug!(%shard, %error, "a lease was not renewed");
        }
    }

    fn lease(&self, beat: u64) -> Lease {
        Lease { worker: self.worker.clone(), attempt: self.attempt.clone(), beat }
    }
}

/// What a worker keeps when a scheduler starts it again: its number; alone, its machine.
fn name(slot: WorkerSlot) -> String {
    match slot.count {
        1 => format!("alone on {}", crate::system::host_name()),
        count => format!("{} of {count}", slot.index),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
