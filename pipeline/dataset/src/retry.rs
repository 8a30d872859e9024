//! Trying again, for calls that may be made twice.

use std::future::Future;
use std::time::Duration;

use crate::answer::is_transient;

/// How often and how long a call that failed for a passing reason is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Calls in all, at least one.
    pub attempts: u32,
    /// Wait before the second call; doubles up to a hundredfold.
    pub first_wait: Duration,
}

impl RetryPolicy {
    /// The wait after `failed` calls (from 1). Jitter keeps workers that failed together apart.
    pub(crate) fn wait(&self, failed: u32) -> Duration {
        let doubled = self.first_wait * 2_u32.saturating_pow(failed.saturating_sub(1).min(6));
        doubled.mul_f64(0.5 + 0.5 * jitter())
    }

    /// Calls `operation`, which must be idempotent, until it succeeds or fails for good.
    pub(crate) async fn run<T, F>(&self, mut operation: impl FnMut() -> F) -> object_store::Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let mut failed = 0;
        loop {
            match operation().await {
                Err(error) if is_transient(&error) && failed + 1 < self.attempts => {
                    failed += 1;
                    tracing::debug!(%error, failed, "the store failed, trying again");
                    tokio::time::sleep(self.wait(failed)).await;
                }
                result => return result,
            }
        }
    }
}

/// A number in [0, 1) that differs between processes and calls; nothing depends on it.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(std::time::Instant::now());
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
