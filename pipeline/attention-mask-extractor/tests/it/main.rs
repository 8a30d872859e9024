//! The extractor against the published algorithm and on maps made by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

mod extraction;
mod extractors;
mod formula;
mod goldens;
mod help;
mod refine;
mod stage;
