//! The store contract: one suite, run on memory, local disk, a store that misbehaves and, if
//! `GLASS_TEST_S3` names an endpoint, a real S3 server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod commit;
mod conformance;
mod faulty;
mod reading;
mod s3;
mod store;
mod support;
