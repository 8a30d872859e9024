//! Attention means to pseudo-masks, on a CPU and without a diffusion model.
//!
//! The generator stores what its attention said; everything after that is arithmetic on small maps.
//! Keeping the two apart is what lets masks be made again with other thresholds, exponents or
//! extractors in seconds, from the same committed dataset. [`extract`] is the whole of it for one
//! sample; the stage around it only reads and writes.

mod attention;
mod caption;
mod error;
mod extraction;
pub mod extractors;
pub mod refine;
mod row;
mod stage;

pub use attention::Attention;
pub use error::ExtractError;
pub use extraction::{Cutting, DropRules, Dropped, Extraction, Parts, Quality, Threshold, extract};
pub use row::MaskMaker;
pub use stage::{Args, extract_masks};
