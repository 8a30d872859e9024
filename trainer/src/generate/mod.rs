//! Draws pictures from slots: reconstructions of validation pictures, and compositions in which slots were removed,
//! added or exchanged.

pub mod compose;
pub mod edits;
pub mod job;
pub mod objects;
pub mod painter;
pub mod reconstruct;
pub mod scene;

pub use painter::{Denoiser, Painter, Sampling};
