//! Captions to classes, and what happens to images that are none.
#![expect(clippy::unwrap_used, reason = "tests")]

mod classes;
mod help;
