//! What the formats promise.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod documents;
mod identity;
mod randomness;
mod rows;
mod specs;
