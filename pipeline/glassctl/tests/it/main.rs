//! The program as a user runs it, against a stand-in of the hub and stores on this machine.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod answers;
mod benchmark;
mod convert;
mod datasets;
mod export;
mod fetch;
mod fetch_failures;
mod inspect;
mod jobs;
mod list;
mod nets;
mod plan;
mod submit;
mod support;
mod verify;
mod wrong;
