//! The subcommands of `trainer`.

mod answer;
mod autoencoder;
mod compare;
mod data;
mod draw;
mod evaluate;
mod explain;
mod export;
mod fidelity;
mod judge;
mod options;
mod probe;
mod samples;
mod surroundings;
mod train;

pub use answer::JsonArgs;
pub use autoencoder::{AutoencoderArgs, autoencoder};
pub use compare::{CompareArgs, compare};
pub use data::{CheckArgs, DataArgs, DataCommand, data};
pub use draw::{DrawArgs, Drawing, draw};
pub use evaluate::{EvaluateArgs, SlotArgs, evaluate};
pub use explain::{ExplainArgs, explain};
pub use export::{ExportArgs, export_run};
pub use fidelity::{FidelityArgs, fidelity};
pub use judge::{JudgeArgs, judge_masks};
pub use options::RunOptions;
pub use probe::{ProbeArgs, probe};
pub use surroundings::StoreSurroundings;
pub use train::{TrainArgs, train};
