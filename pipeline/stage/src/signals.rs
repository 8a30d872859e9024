//! Stopping on SIGTERM, SIGINT and SIGUSR1.
//!
//! Schedulers announce the end in these ways: Slurm and Kubernetes send SIGTERM some time before
//! SIGKILL, `sbatch --signal=USR1@60` sends SIGUSR1, people press Ctrl-C. All three ask for the
//! same: finish what takes a moment, commit nothing by halves, exit with 75. What does not end in a
//! moment, a long batch or a store that does not answer, is left behind: no commit names it.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::system;

/// When a stage that was asked to stop leaves at the latest, whatever it is in the middle of. The run loop
/// gives up its batch and its writes before; what is left is a store that does not answer when a dataset is
/// opened, or weights that are being read. Schedulers kill what is still there after ten seconds.
const GRACE: Duration = Duration::from_secs(9);

/// What becomes of a program that was asked to stop and is not done [`GRACE`] later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It leaves with 75: a stage, which loses no more than a batch and a shard that is not committed.
    Leaves,
    /// It goes on until it is done, e.g. with a checkpoint.
    GoesOn,
}

/// A request to stop, shared by everything that may run long. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop {
    sender: watch::Sender<bool>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { sender: watch::Sender::new(false) }
    }
}

impl Stop {
    /// Whether a stop was asked for. Cheap; synchronous code polls it between batches.
    pub fn is_set(&self) -> bool {
        *self.sender.borrow()
    }

    /// Asks for a stop, as a signal does.
    pub fn set(&self) {
        self.sender.send_replace(true);
    }

    /// Returns once a stop was asked for.
    pub async fn wait(&self) {
        // The sender lives in `self`, so the channel cannot close.
        let _ = self.sender.subscribe().wait_for(|stop| *stop).await;
    }

    /// Returns so long after a stop was asked for.
    pub(crate) async fn later(self, time: std::time::Duration) {
        self.wait().await;
        tokio::time::sleep(time).await;
    }

    /// Sets the request when one of the three signals arrives, for the rest of the process.
    /// A second Ctrl-C ends the process at once: nothing it leaves behind is ever visible. A second
    /// SIGTERM does not, because schedulers deliver it to the process and again to its group.
    pub(crate) fn on_signals(&self, overdue: Overdue) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut user = signal(SignalKind::user_defined1())?;
        let stop = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                    _ = user.recv() => "SIGUSR1",
                };
                if stop.is_set() && name != "SIGINT" {
                    continue;
                }
                if stop.is_set() {
                    tracing::warn!(signal = name, "stopping at once");
                    std::process::exit(i32::from(crate::ExitStatus::Interrupted.code()));
                }
                tracing::warn!(signal = name, "stopping after the current batch; Ctrl-C to stop at once");
                stop.set();
                if overdue == Overdue::Leaves {
                    // A thread: whatever hangs, it may hang the runtime.
                    std::thread::spawn(leave);
                }
            }
        });
        Ok(())
    }
}

fn leave() {
    std::thread::sleep(GRACE);
    tracing::warn!(seconds = GRACE.as_secs(), "giving up what is under way: run the same command again to resume");
    system::leave(crate::ExitStatus::Interrupted)
}
