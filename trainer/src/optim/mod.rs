//! Optimiser, schedule, clipping and averaging: what burn's `ModuleOptimizer` leaves to a loop.

mod clip;
mod ema;
mod gradients;
mod optimizer;
mod schedule;

pub use ema::Ema;
pub use gradients::Gradients;
pub use optimizer::GroupOptimizer;
pub use schedule::learning_rate;
