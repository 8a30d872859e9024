//! Training, piece by piece: agreement with PyTorch, properties, resuming.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod command;
mod compose;
mod eval_data;
mod eval_run;
mod events;
mod guidance;
mod insight;
mod judge;
mod masks;
mod order;
mod painter;
mod properties;
mod reference;
mod resume;
mod support;
mod toy;
