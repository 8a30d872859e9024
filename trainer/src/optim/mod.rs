//! Optimiser, schedule, clipping and averaging: what burn's `ModuleOptimizer` leaves to a loop.

mod clip;
mod ema;
mod optimizer;
mod schedule;

pub use clip::{clip_global_norm, square_norm};
pub use ema::Ema;
pub use optimizer::GroupOptimizer;
pub use schedule::learning_rate;
