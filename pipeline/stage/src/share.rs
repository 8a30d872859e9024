//! Which shards a worker does.

/// One of `count` workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSlot {
    /// From 0 to `count` − 1.
    pub index: u32,
    /// How many workers share the plan.
    pub count: u32,
}

impl WorkerSlot {
    /// A single worker that does every shard.
    pub const ALONE: Self = Self { index: 0, count: 1 };
}

/// Whether a worker with no shard of its own left takes those of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Stragglers {
    /// Leave them to the workers they are assigned to.
    #[default]
    Leave,
    /// Take them from the end, so that the last shards of a dead or slow worker get done.
    Take,
}
