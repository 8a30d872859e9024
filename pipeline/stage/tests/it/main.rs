//! A toy stage run as a real process that is killed, stopped and started again, and the same
//! loop run in this process on stores that misbehave.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod again;
mod crash;
mod errors;
mod extend;
mod leases;
mod mortal;
mod process;
mod retry;
mod spills;
mod toy;
