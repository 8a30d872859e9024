//! What a run did.

use crate::compute::Pace;
use crate::exit::ExitStatus;

/// How a run ended, when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing was left to do when it started.
    NothingToDo,
    /// Every shard of this worker is committed.
    Complete,
    /// A signal stopped it; run again to resume.
    Interrupted,
}

/// What one process did.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How it ended.
    pub ending: Ending,
    /// Shards in the plan.
    pub shards_planned: u32,
    /// Shards that were committed before this run.
    pub shards_before: u32,
    /// Shards this run committed.
    pub shards_committed: u32,
    /// Shards another attempt committed first; this run's copy was dropped.
    pub shards_lost: u32,
    /// Rows this run committed.
    pub rows: u64,
    /// Samples this run put into quarantine.
    pub quarantined: u64,
    /// Shards that an earlier dataset had and this one took over.
    pub shards_adopted: u32,
    /// Samples that earlier attempts had put aside and this run did not make.
    pub restored: u64,
    /// Where this process's time went.
    pub pace: Pace,
}

impl Summary {
    /// The exit status this summary stands for.
    pub fn status(&self) -> ExitStatus {
        match self.ending {
            Ending::Interrupted => ExitStatus::Interrupted,
            _ if self.quarantined > 0 => ExitStatus::DoneWithQuarantine,
            Ending::NothingToDo | Ending::Complete => ExitStatus::Done,
        }
    }
}
