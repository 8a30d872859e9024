//! Stopping on SIGTERM, SIGINT and SIGUSR1.

use tokio::sync::watch;

/// A request to stop, shared by everything that may run long.
#[derive(Clone, Debug)]
pub struct Stop {
    receiver: watch::Receiver<bool>,
}

impl Stop {
    /// Whether a stop was asked for. Cheap; synchronous code polls it between batches.
    pub fn is_set(&self) -> bool {
        *self.receiver.borrow()
    }
}
