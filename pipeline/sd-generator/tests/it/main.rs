//! Drawing with the mini checkpoint.
#![expect(clippy::unwrap_used, reason = "tests")]

mod drawing;
mod help;
