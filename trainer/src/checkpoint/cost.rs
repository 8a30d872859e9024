//! What a run has cost: processor time and memory of every attempt at it.
//!
//! The records lie beside the checkpoints (`runs/<run>/attempts/<attempt>.json`) and not in them, whose
//! bytes do not depend on how often a run was interrupted. A record is renewed with every checkpoint: of
//! an attempt that was killed, what came after its last checkpoint is not counted, and is done again.

use std::time::{Duration, Instant};

use glass_dataset::Attempt;
use serde::{Deserialize, Serialize};

use super::Run;
use crate::error::{Result, TrainerError};

/// One attempt, as far as it has been saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptCost {
    /// The step it began with.
    pub from: u64,
    /// The step of its last checkpoint.
    pub to: u64,
    /// Processor time of the steps, all threads together.
    pub processor_seconds: f64,
    /// Time of the steps on the clock.
    pub wall_seconds: f64,
    /// Processor time before the first step: loading, and computing what all steps share.
    pub preparing_seconds: f64,
    /// Largest resident size of the process so far in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

/// Measures an attempt, and knows what those before it took.
#[derive(Debug)]
pub struct Meter {
    attempt: Attempt,
    from: u64,
    before: Duration,
    limit: Option<Duration>,
    started: (Instant, Duration),
    preparing: Duration,
}

impl Meter {
    /// Starts to measure an attempt from step `from`. `limit` bounds the processor time of the steps of
    /// all attempts at the run.
    ///
    /// # Errors
    /// The store's errors; [`TrainerError::State`] for a record that cannot be read.
    pub async fn start(run: &Run, from: u64, limit: Option<Duration>) -> Result<Self> {
        let before = match limit {
            Some(_) => run.attempts().await?.iter().map(|attempt| attempt.processor_seconds).sum(),
            None => 0.0,
        };
        Ok(Self {
            attempt: Attempt::new(),
            from,
            before: Duration::try_from_secs_f64(before).unwrap_or(Duration::MAX),
            limit,
            started: now(),
            preparing: Duration::ZERO,
        })
    }

    /// The next thing is the first step: what was used so far was preparation.
    pub fn prepared(&mut self) {
        let began = self.started.1;
        self.started = now();
        self.preparing = self.started.1.saturating_sub(began);
    }

    /// Whether the time is up.
    pub fn used_up(&self) -> bool {
        let used = || self.before.saturating_add(now().1.saturating_sub(self.started.1));
        self.limit.is_some_and(|limit| used() >= limit)
    }

    /// Keeps what the attempt has used, with its checkpoint of step `to`.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn record(&self, run: &Run, to: u64) -> Result<()> {
        let (clock, processor) = now();
        let cost = AttemptCost {
            from: self.from,
            to,
            processor_seconds: processor.saturating_sub(self.started.1).as_secs_f64(),
            wall_seconds: clock.saturating_duration_since(self.started.0).as_secs_f64(),
            preparing_seconds: self.preparing.as_secs_f64(),
            peak_memory: glass_stage::peak_memory(),
        };
        let json = serde_json::to_vec_pretty(&cost).map_err(|error| TrainerError::state("attempt", error))?;
        let key = run.key(&format!("{FOLDER}/{}.json", self.attempt));
        Ok(run.store().put(&key, json.into()).await?)
    }
}

impl Run {
    /// What the attempts at this run have cost so far.
    ///
    /// # Errors
    /// The store's errors; [`TrainerError::State`] for a record that cannot be read.
    pub async fn attempts(&self) -> Result<Vec<AttemptCost>> {
        let mut attempts = Vec::new();
        for key in self.store().list_keys(&self.key(FOLDER)).await? {
            let bytes = self.store().get(&key).await?;
            attempts.push(serde_json::from_slice(&bytes).map_err(|error| TrainerError::state(&key, error))?);
        }
        Ok(attempts)
    }
}

const FOLDER: &str = "attempts";

/// The clock and the processor time of this process, which is the clock's where the system does not tell.
fn now() -> (Instant, Duration) {
    use std::sync::LazyLock;
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let clock = Instant::now();
    let processor = glass_stage::processor_time();
    (clock, processor.unwrap_or_else(|| clock.saturating_duration_since(*BEGAN)))
}
