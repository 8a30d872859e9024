//! Prompts → images, clean latents and attention means.
//!
//! One pass of Stable Diffusion gives all three, and two datasets are written: `attention` (large,
//! needed once per mask setting) and `generations` (what the trainer reads). A sample depends on
//! the run seed and its own id only: the initial latent comes from a counter-based generator, so
//! no restart, batch size or worker count can change an image.

mod draw;
mod encode;
mod source;
mod stage;

pub use draw::{Drawing, Generator, Request};
pub use stage::{Args, generate};
