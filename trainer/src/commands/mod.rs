//! The subcommands of `trainer`.

mod options;
mod surroundings;
mod train;

pub use options::RunOptions;
pub use surroundings::StoreSurroundings;
pub use train::{TrainArgs, train};
