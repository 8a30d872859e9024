//! Claims to shards: a hint to others that somebody is at work, and nothing more.
//!
//! A lease spares two idle workers the same shard. Whether a shard is committed, and by whom, is
//! decided by its commit alone, so a lease that is lost, stuck or taken twice costs time only.
//! Nobody compares clocks: whoever finds a lease watches whether it is renewed ([`Lease::beat`]).

use glass_schemas::ids::ShardIndex;
use serde::{Deserialize, Serialize};

use crate::commit::{Created, create, from_json, to_json};
use crate::dataset::Dataset;
use crate::error::Result;

/// Who is at work on a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The worker, by a name that it keeps when it is started again.
    pub worker: String,
    /// The process.
    pub attempt: String,
    /// Grows with each renewal.
    pub beat: u64,
}

/// What asking for a lease came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody had it; now it is ours.
    New,
    /// This one is there.
    Found(Lease),
}

impl Dataset {
    /// Takes the lease of a shard, if there is none.
    ///
    /// # Errors
    /// As [`create`]; [`crate::DatasetError::Document`] for a lease that cannot be read.
    pub async fn claim(&self, shard: ShardIndex, lease: &Lease) -> Result<Claim> {
        let key = self.layout().lease(shard);
        match create(self.store(), &key, to_json(&key, lease)?).await? {
            Created::New => Ok(Claim::New),
            Created::Found(found) => Ok(Claim::Found(from_json(&key, &found)?)),
        }
    }

    /// Renews a lease, or takes over one that nobody renews.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn renew(&self, shard: ShardIndex, lease: &Lease) -> Result<()> {
        let key = self.layout().lease(shard);
        self.store().put(&key, to_json(&key, lease)?).await
    }

    /// Gives the lease of a shard back.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn release(&self, shard: ShardIndex) -> Result<()> {
        self.store().delete(&self.layout().lease(shard)).await
    }
}
