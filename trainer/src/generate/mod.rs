//! Draws pictures from slots: reconstructions of validation pictures, and compositions in which slots were removed,
//! added or exchanged.

pub mod compose;
pub mod edits;
pub mod exchange;
pub mod job;
pub mod metrics;
pub mod objects;
mod queue;
pub mod reconstruct;
pub mod scene;
pub mod shelf;
