//! The plan: which shard holds which items. A pure function of two numbers.
//!
//! Any worker computes the whole plan; nothing is handed out. Shard k of a stage reads shard k
//! of its upstream, so a cluster can start task k of the next stage as soon as task k of this
//! one is committed, and only the captioner's plan looks at the source listing.

use std::ops::Range;

use crate::ids::ShardIndex;

/// How a list of items is cut into shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    items: u64,
    rows_per_shard: u32,
}

impl Plan {
    /// Cuts `items` into shards of at most `rows_per_shard` (at least 1).
    pub fn new(items: u64, rows_per_shard: u32) -> Self {
        Self { items, rows_per_shard: rows_per_shard.max(1) }
    }

    /// Number of shards.
    pub fn shards(&self) -> u32 {
        let shards = self.items.div_ceil(u64::from(self.rows_per_shard));
        u32::try_from(shards).unwrap_or(u32::MAX)
    }

    /// Number of items over all shards.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// The items of one shard; empty past the end.
    pub fn range(&self, shard: ShardIndex) -> Range<u64> {
        let rows = u64::from(self.rows_per_shard);
        let start = (u64::from(shard.0) * rows).min(self.items);
        start..(start + rows).min(self.items)
    }
}

/// The shards that worker `index` of `count` should do first: every `count`-th one.
pub fn assigned(shards: u32, index: u32, count: u32) -> impl Iterator<Item = ShardIndex> {
    (index..shards).step_by(count.max(1) as usize).map(ShardIndex)
}
