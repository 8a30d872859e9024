//! The end of a step that did not succeed.

use glass_stage::ExitStatus;

/// A step that ended with something other than success; its message was shown.
#[derive(Debug, thiserror::Error)]
#[error("step ended with exit code {0}")]
pub(crate) struct Stopped(u8);

impl Stopped {
    pub(crate) const INTERRUPTED: Self = Self(75);

    pub(crate) fn with(code: u8) -> Self {
        Self(code)
    }

    pub(crate) fn status(&self) -> ExitStatus {
        match self.0 {
            1 => ExitStatus::UserError,
            75 => ExitStatus::Interrupted,
            _ => ExitStatus::OurError,
        }
    }
}

/// The status of a job whose steps may have stopped it.
pub(crate) fn stopped_or(status: anyhow::Result<ExitStatus>) -> anyhow::Result<ExitStatus> {
    status.or_else(|error| match error.downcast_ref::<Stopped>() {
        Some(stopped) => Ok(stopped.status()),
        None => Err(error),
    })
}
