//! What the process tells its caller.

use std::process::ExitCode;

/// The exit codes of every binary of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: everything asked for is there.
    Done,
    /// 1: the input has to change (run spec, paths, flags, weights).
    UserError,
    /// 2: we failed; a retry or a bug report is the next step.
    OurError,
    /// 3: done, and some samples are in quarantine.
    DoneWithQuarantine,
    /// 75 (`EX_TEMPFAIL`): interrupted by a signal; run the same command again to resume.
    Interrupted,
}

impl ExitStatus {
    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::UserError => 1,
            Self::OurError => 2,
            Self::DoneWithQuarantine => 3,
            Self::Interrupted => 75,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
