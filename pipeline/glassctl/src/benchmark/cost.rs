//! What a run has cost, from the records that the trainer keeps of its attempts.

use anyhow::Context as _;
use glass_dataset::Store;
use serde::{Deserialize, Serialize};

/// One attempt, as `trainer train` records it.
#[derive(Deserialize)]
struct Attempt {
    to: u64,
    processor_seconds: f64,
    wall_seconds: f64,
    preparing_seconds: f64,
    peak_memory: Option<u64>,
}

/// All attempts at a run together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// Processes that trained.
    pub(crate) attempts: u32,
    /// Steps done.
    pub(crate) steps: u64,
    /// Processor time of the steps.
    pub(crate) processor_seconds: f64,
    /// Their time on the clock, which others on the machine lengthen.
    pub(crate) wall_seconds: f64,
    /// Processor time before the first step of each attempt. Methods on the same features share most of
    /// it: whoever comes first computes them.
    pub(crate) preparing_seconds: f64,
    /// Largest resident size of a process in bytes.
    #[serde(rename = "peak_memory_bytes")]
    pub(crate) peak_memory: Option<u64>,
}

/// The cost of a run of this store.
///
/// # Errors
/// Where a record cannot be read.
pub(crate) async fn of(store: &Store, run: &str) -> anyhow::Result<Cost> {
    let mut cost = Cost::default();
    for key in store.list_keys(&format!("runs/{run}/attempts")).await? {
        let attempt: Attempt =
            serde_json::from_slice(&store.get(&key).await?).with_context(|| format!("cannot read `{key}`"))?;
        cost.attempts += 1;
        cost.steps = cost.steps.max(attempt.to);
        cost.processor_seconds += attempt.processor_seconds;
        cost.wall_seconds += attempt.wall_seconds;
        cost.preparing_seconds += attempt.preparing_seconds;
        cost.peak_memory = cost.peak_memory.max(attempt.peak_memory);
    }
    Ok(cost)
}
