//! The program as a user runs it, against a stand-in of the hub and stores on this machine.
#![expect(clippy::unwrap_used, reason = "tests")]

mod benchmark;
mod convert;
mod datasets;
mod export;
mod fetch;
mod fetch_failures;
mod inspect;
mod list;
mod nets;
mod plan;
mod submit;
mod support;
mod verify;
mod wrong;
