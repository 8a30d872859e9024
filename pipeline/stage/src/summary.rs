//! What a run did.

use std::io::Write;

use glass_schemas::ids::DatasetId;
use serde_json::json;

use crate::cli::StageArgs;
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
    /// The datasets that were written to.
    pub datasets: Vec<DatasetId>,
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

impl Ending {
    fn as_str(self) -> &'static str {
        match self {
            Self::NothingToDo => "nothing-to-do",
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Summary {
    /// The last words of a stage's process: with `--json` this summary on standard output, then the exit
    /// status that it stands for.
    ///
    /// # Errors
    /// If standard output cannot be written to.
    pub fn answer(&self, args: &StageArgs) -> std::io::Result<ExitStatus> {
        if args.json {
            writeln!(std::io::stdout(), "{:#}", self.document())?;
        }
        Ok(self.status())
    }

    fn document(&self) -> serde_json::Value {
        json!({
            "datasets": self.datasets,
            "ending": self.ending.as_str(),
            "shards_planned": self.shards_planned,
            "shards_before": self.shards_before,
            "shards_committed": self.shards_committed,
            "shards_lost": self.shards_lost,
            "shards_adopted": self.shards_adopted,
            "rows": self.rows,
            "quarantined": self.quarantined,
            "restored": self.restored,
            "computed": self.pace.samples,
            "loading_seconds": self.pace.loading.as_secs_f64(),
            "computing_seconds": self.pace.computing.as_secs_f64(),
        })
    }

    /// The exit status this summary stands for.
    pub fn status(&self) -> ExitStatus {
        match self.ending {
            Ending::Interrupted => ExitStatus::Interrupted,
            _ if self.quarantined > 0 => ExitStatus::DoneWithQuarantine,
            Ending::NothingToDo | Ending::Complete => ExitStatus::Done,
        }
    }
}
