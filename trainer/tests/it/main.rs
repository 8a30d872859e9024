//! Training, piece by piece: agreement with PyTorch, properties, resuming.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod events;
mod guidance;
mod order;
mod properties;
mod reference;
mod resume;
mod support;
