//! The flags every stage has.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use glass_dataset::{Dataset, Store, StoreOptions};
use glass_schemas::ids::{DatasetId, DatasetKind};
use glass_schemas::spec::RunSpec;

/// How log lines are written to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for clusters.
    Json,
}

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

/// Flags of every binary, stage or not; [`crate::stage_main`] applies them.
#[derive(Args, Clone, Debug, Default)]
pub struct ProcessArgs {
    /// CPU threads of the network [default: all cores]
    #[arg(long, value_name = "N", global = true)]
    pub threads: Option<usize>,
    /// Log format on stderr
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub log_format: LogFormat,
}

/// Flags shared by the stage binaries; flatten them into the binary's own `clap` parser.
///
/// `--index`/`--count` fall back to `SLURM_ARRAY_TASK_ID`/`SLURM_ARRAY_TASK_COUNT`, then to
/// `JOB_COMPLETION_INDEX` (Kubernetes Indexed Job; give `--count`), then to one worker.
#[derive(Args, Clone, Debug)]
pub struct StageArgs {
    /// Run spec (TOML)
    #[arg(long, value_name = "FILE")]
    pub spec: PathBuf,
    /// Change one value of the spec, e.g. `masks.low=0.4`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where datasets are written (path, file://, s3://); overrides the spec's [store]
    #[arg(long, value_name = "URI")]
    pub store: Option<String>,
    /// The dataset to read, where the spec alone does not tell
    #[arg(long, value_name = "DATASET")]
    pub upstream: Option<DatasetId>,
    /// This worker's number, from 0
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// Number of workers that share the plan
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
    /// Samples computed at once; never changes a sample [default: the spec's]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Threads and logging
    #[command(flatten)]
    pub process: ProcessArgs,
}
