//! The subcommands of `trainer`.

mod draw;
mod evaluate;
mod options;
mod surroundings;
mod train;

pub use draw::{DrawArgs, Drawing, draw};
pub use evaluate::{EvaluateArgs, evaluate};
pub use options::RunOptions;
pub use surroundings::StoreSurroundings;
pub use train::{TrainArgs, train};
