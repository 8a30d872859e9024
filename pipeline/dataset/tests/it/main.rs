//! The store contract: one suite, run on memory, local disk, stores that misbehave and, where
//! variables name them, real servers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod campaign;
mod card;
mod chaos;
mod clocks;
mod commit;
mod conformance;
mod faulty;
mod fixtures;
mod gc;
mod google;
mod http;
mod reading;
mod rounds;
mod secrets;
mod servers;
mod store;
mod support;
