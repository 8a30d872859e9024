//! The flags every stage has.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use glass_dataset::{Dataset, DatasetError, Store, StoreOptions};
use glass_schemas::ids::{DatasetId, DatasetKind, SampleId, ShardIndex};
use glass_schemas::spec::{ExecutionSpec, RunSpec};

use crate::condition::Condition;
use crate::error::{Result, StageError};
use crate::fill::SpillBound;
use crate::job::{Failed, Options, Pass, SystematicFailure};
use crate::share::{Stragglers, WorkerSlot};

/// How log lines are written to stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for clusters.
    Json,
}

/// Flags of every binary, stage or not; [`crate::stage_main`] and [`crate::program_main`] apply them.
#[derive(Args, Clone, Debug, Default)]
pub struct ProcessArgs {
    /// CPU threads of the network [default: all cores]
    #[arg(long, value_name = "N", global = true)]
    pub threads: Option<usize>,
    /// Log format on stderr
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub log_format: LogFormat,
}

/// Which run spec, changed how, in which store: the flags of every program that reads a spec.
#[derive(Args, Clone, Debug)]
pub struct SpecArgs {
    /// Run spec (TOML)
    #[arg(id = "spec", long = "spec", value_name = "FILE")]
    pub path: PathBuf,
    /// Change one value of the spec, e.g. `masks.low=0.4`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where datasets and runs are (path, file://, s3://, gs://, az://); overrides the spec's [store]
    #[arg(long, value_name = "URI")]
    pub store: Option<String>,
}

impl SpecArgs {
    /// The run spec with the changes of `--set` and `--store`.
    ///
    /// # Errors
    /// [`StageError::Schema`] if it cannot be read or a key or value is wrong.
    pub fn load(&self) -> Result<RunSpec> {
        let mut spec = RunSpec::load_with(&self.path, &self.set)?;
        if let Some(uri) = &self.store {
            spec.store.uri.clone_from(uri);
        }
        Ok(spec)
    }

    /// The store that the spec names.
    ///
    /// # Errors
    /// [`StageError::Dataset`] if there is none or its URI cannot be used.
    pub fn open_store(spec: &RunSpec) -> Result<Store> {
        Ok(Store::open(&spec.store.uri, &StoreOptions::from(&spec.store))?)
    }
}

/// Which samples `--retry` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Retry {
    /// Those whose inputs came after their shard was committed.
    New,
    /// Those, and the ones in quarantine.
    Failed,
}

/// One sample of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Only {
    shard: ShardIndex,
    sample: SampleId,
}

impl std::str::FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (shard, sample) = text.split_once(':').ok_or("write SHARD:SAMPLE")?;
        let shard = shard.parse().map_err(|_| format!("`{shard}` is no shard number"))?;
        let sample = sample.parse().map_err(|error| format!("`{sample}`: {error}"))?;
        Ok(Self { shard: ShardIndex(shard), sample })
    }
}

/// Flags shared by the stage binaries; flatten them into the binary's own `clap` parser.
///
/// `--index`/`--count` fall back to `SLURM_ARRAY_TASK_ID`/`SLURM_ARRAY_TASK_COUNT`, then to
/// `JOB_COMPLETION_INDEX` (Kubernetes Indexed Job; give `--count`), then to one worker.
#[derive(Args, Clone, Debug)]
pub struct StageArgs {
    /// Spec and store
    #[command(flatten)]
    pub spec: SpecArgs,
    /// The dataset to read, where the spec alone does not tell
    #[arg(long, value_name = "DATASET")]
    pub upstream: Option<DatasetId>,
    /// This worker's number, from 0
    #[arg(long, value_name = "N")]
    pub index: Option<u32>,
    /// Number of workers that share the plan
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
    /// What to do when the own shards are done: `take` makes those of slower workers too
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub stragglers: Stragglers,
    /// Look at committed shards once more: `new` makes samples whose inputs came later, `failed` those
    /// in quarantine as well
    #[arg(long, value_enum, value_name = "WHICH")]
    pub retry: Option<Retry>,
    /// With `--retry failed`: only these, e.g. `class=unreadable` or `item=*.png`; may be repeated
    #[arg(long = "where", value_name = "KEY=PATTERN", requires = "retry")]
    pub conditions: Vec<Condition>,
    /// Make one sample of one shard, e.g. `3:0123456789abcdef0123456789abcdef`
    #[arg(long, value_name = "SHARD:SAMPLE", conflicts_with = "retry")]
    pub only: Option<Only>,
    /// Write to this store instead; upstream datasets are still read from the spec's
    #[arg(long, value_name = "URI")]
    pub into: Option<String>,
    /// Samples computed at once; never changes a sample [default: the spec's]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
    /// Threads and logging
    #[command(flatten)]
    pub process: ProcessArgs,
}

impl StageArgs {
    /// The dataset this stage reads: `--upstream`, or the one of `kind` made with this spec.
    ///
    /// # Errors
    /// [`StageError::Dataset`] if there is none or more than one, or it is of another kind.
    pub async fn upstream(&self, store: &Store, spec: &RunSpec, kind: DatasetKind) -> Result<Dataset> {
        match &self.upstream {
            Some(id) if id.kind() != kind => Err(DatasetError::OtherKind { id: id.clone(), expected: kind }.into()),
            Some(id) => Ok(Dataset::open(store, id).await?),
            None => Ok(Dataset::find(store, kind, spec).await?),
        }
    }

    /// Where rows go: `--into`, or the store that is also read.
    ///
    /// # Errors
    /// [`StageError::Dataset`] if the URI cannot be used.
    pub fn output(&self, store: &Store, spec: &RunSpec) -> Result<Store> {
        match &self.into {
            None => Ok(store.clone()),
            Some(uri) => Ok(Store::open(uri, &StoreOptions::from(&spec.store))?),
        }
    }

    /// Whether the stage looks at samples of a dataset that is there, and does not begin one.
    pub fn looks_back(&self) -> bool {
        self.retry.is_some() || self.only.is_some()
    }

    fn pass(&self) -> Pass {
        match (&self.only, self.retry) {
            (Some(only), _) => Pass::Only(only.shard, only.sample),
            (None, None) => Pass::First,
            (None, Some(Retry::New)) => Pass::Again(Failed::Leave),
            (None, Some(Retry::Failed)) => Pass::Again(Failed::Where(self.conditions.clone())),
        }
    }

    /// How to run a stage: the flags, and what the spec says for those not given.
    ///
    /// # Errors
    /// As [`StageArgs::slot`].
    pub fn options(&self, execution: &ExecutionSpec, batch_size: usize) -> Result<Options> {
        let defaults = Options::default();
        Ok(Options {
            slot: self.slot()?,
            batch_size: self.batch_size.unwrap_or(batch_size),
            stragglers: self.stragglers,
            pass: self.pass(),
            systematic: SystematicFailure {
                // Samples that failed before may well fail again.
                share: match self.retry {
                    Some(_) => 1.0,
                    None => execution.max_failed_share,
                },
                ..defaults.systematic
            },
            lease: Duration::from_secs(execution.lease_seconds),
            spill: SpillBound { samples: execution.spill_samples, time: Duration::from_secs(execution.spill_seconds) },
            ..defaults
        })
    }

    /// The worker this process is, from the flags or the scheduler's variables.
    ///
    /// # Errors
    /// [`StageError::Slot`] if a value is no number, or the index is not below the count.
    pub fn slot(&self) -> Result<WorkerSlot> {
        resolve_slot(self.index, self.count, |name| std::env::var(name).ok())
    }
}

/// Flags first, then Slurm, then Kubernetes; each as a pair, so that one does not complete another.
fn resolve_slot(
    index: Option<u32>,
    count: Option<u32>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<WorkerSlot> {
    let number = |name: &str| -> Result<Option<u32>> {
        let Some(text) = variable(name).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let parsed = text.parse();
        parsed.map(Some).map_err(|_| StageError::Slot(format!("`{name}` is `{text}`, which is no worker number")))
    };
    let slot = match (index, count) {
        (Some(index), Some(count)) => WorkerSlot { index, count },
        (Some(_), None) => return Err(StageError::Slot("`--index` needs `--count`".to_owned())),
        (None, count) => from_scheduler(count, number)?,
    };
    if slot.index < slot.count {
        return Ok(slot);
    }
    Err(StageError::Slot(format!("worker {} of {} does not exist: numbers start at 0", slot.index, slot.count)))
}

fn from_scheduler(count: Option<u32>, number: impl Fn(&str) -> Result<Option<u32>>) -> Result<WorkerSlot> {
    if let Some(task) = number("SLURM_ARRAY_TASK_ID")? {
        // An array need not start at 0.
        let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
        let count = match count {
            Some(count) => count,
            None => number("SLURM_ARRAY_TASK_COUNT")?.unwrap_or(1),
        };
        let index = task.checked_sub(first).unwrap_or(u32::MAX);
        return Ok(WorkerSlot { index, count });
    }
    let index = number("JOB_COMPLETION_INDEX")?;
    match (index, count) {
        (Some(index), Some(count)) => Ok(WorkerSlot { index, count }),
        (Some(_), None) => Err(StageError::Slot(
            "`JOB_COMPLETION_INDEX` is set but not the number of workers: give `--count`".to_owned(),
        )),
        (None, None | Some(1)) => Ok(WorkerSlot::ALONE),
        (None, Some(_)) => Err(StageError::Slot("`--count` needs `--index`".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn slot(index: Option<u32>, count: Option<u32>, variables: &[(&str, &str)]) -> Result<(u32, u32)> {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        resolve_slot(index, count, find).map(|slot| (slot.index, slot.count))
    }

    #[test]
    fn a_process_without_flags_or_scheduler_is_alone() {
        assert_eq!(slot(None, None, &[]).unwrap(), (0, 1));
    }

    #[test]
    fn flags_win_over_the_scheduler() {
        let slurm = [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "4")];
        assert_eq!(slot(Some(1), Some(2), &slurm).unwrap(), (1, 2));
        assert_eq!(slot(None, None, &slurm).unwrap(), (3, 4));
    }

    #[test]
    fn a_slurm_array_that_starts_at_one_is_counted_from_zero() {
        let slurm = [("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "4")];
        assert_eq!(slot(None, None, &slurm).unwrap(), (0, 4));
    }

    #[test]
    fn a_kubernetes_index_needs_a_count() {
        let job = [("JOB_COMPLETION_INDEX", "2")];
        assert_eq!(slot(None, Some(5), &job).unwrap(), (2, 5));
        assert!(slot(None, None, &job).is_err());
    }

    #[test]
    fn half_a_slot_and_a_slot_out_of_range_are_refused() {
        assert!(slot(Some(0), None, &[]).is_err());
        assert!(slot(None, Some(3), &[]).is_err());
        assert!(slot(Some(3), Some(3), &[]).is_err());
        assert!(slot(None, None, &[("SLURM_ARRAY_TASK_ID", "x")]).is_err());
    }
}
