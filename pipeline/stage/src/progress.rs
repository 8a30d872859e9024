//! Progress: a bar with rate and remaining time on a terminal, log lines without one.

/// Shows how far a job is.
#[derive(Clone, Debug)]
pub struct Progress {}
