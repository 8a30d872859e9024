//! Runs one stage of the pipeline to completion.
//!
//! A stage is a function from the samples of a shard to rows of that shard. What surrounds the
//! function is the same for every stage and lives here, so that a stage is only a [`Source`]
//! (reads and decodes), a [`Worker`] (owns the network) and an encoding function (rows to Arrow):
//! finding the shards still to do, keeping the network busy while inputs load and outputs upload,
//! retrying a store that answers badly, putting failed samples aside, stopping cleanly on a
//! signal, showing progress and saying by the exit code what happened.
//!
//! ```text
//!  Source::load ──items──▶ batches ──▶ Worker::process ──rows──▶ encode ──▶ shard writer ─▶ commit
//!  async, prefetched       bounded     its own thread   bounded   blocking   async, overlapped
//! ```
//!
//! The trainer is no stage but shares [`program_main`], [`Stop`] and [`ExitStatus`].

mod again;
mod cli;
mod compute;
mod condition;
mod earlier;
mod entry;
mod error;
mod exit;
mod explain;
mod failure;
mod fill;
mod job;
mod lease;
mod licences;
mod load;
mod logging;
mod progress;
mod run;
mod share;
mod signals;
mod spilled;
mod summary;
mod system;
mod systematic;
mod verbs;
mod whole_file;
mod write;

pub use cli::{LogFormat, Only, ProcessArgs, Retry, SpecArgs, StageArgs};
pub use compute::Pace;
pub use condition::Condition;
pub use earlier::{Common, Earlier, earlier_of_upstream};
pub use entry::{Context, program_main, stage_main, stage_main_from};
pub use error::{Result, StageError};
pub use exit::ExitStatus;
pub use explain::{Blame, Explain, blame, hint, render, status};
pub use failure::{ErrorClass, Failure};
pub use fill::SpillBound;
pub use job::{
    Encode, Failed, ItemStream, Job, Loaded, MakeWorker, Options, Pass, Source, SystematicFailure, Worker, all_at_once,
};
pub use licences::licences;
pub use progress::{Progress, Task};
pub use run::run;
pub use share::{Stragglers, WorkerSlot};
pub use signals::Stop;
pub use summary::{Ending, Summary};
pub use system::{peak_memory, processor_time};
pub use verbs::{EXIT_CODES, shortcomings};
pub use whole_file::WholeFile;
