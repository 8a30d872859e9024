//! Trying again.

use std::time::Duration;

use glass_stage::Stop;

use super::error::HubError;

/// How often a request is tried.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Retry {
    /// Tries after the first one that are allowed to bring nothing.
    pub(in super::super) retries: u32,
}

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The tries of one request.
pub(super) struct Attempts<'a> {
    retry: Retry,
    stop: &'a Stop,
    failed: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(retry: Retry, stop: &'a Stop) -> Self {
        Self { retry, stop, failed: 0 }
    }

    /// Something arrived: a line that keeps breaking is slow, not dead.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits until the next try, or gives the error back if there is none.
    pub(super) async fn after(&mut self, error: HubError) -> Result<(), HubError> {
        if !error.is_transient() || self.failed >= self.retry.retries {
            return Err(error);
        }
        let wait = error.wait().unwrap_or(FIRST_WAIT * 2u32.pow(self.failed.min(7)));
        let wait = wait.min(LONGEST_WAIT);
        self.failed += 1;
        tracing::warn!(%error, wait_seconds = wait.as_secs_f64(), "trying again");
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.stop.wait() => Err(HubError::Interrupted),
        }
    }
}
