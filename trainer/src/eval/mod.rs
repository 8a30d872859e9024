//! Scores slots, and what they have to beat, on pictures with ground truth.
//!
//! Every method, seed and protocol is computed in one pass over the pictures, in memory that does not grow with their
//! number. Noise is drawn for (seed, picture), so neither batch nor order can change a score, and no number leaves
//! without the id of the protocol it was made under.

pub mod annotations;
pub mod baselines;
pub(crate) mod boxes;
pub mod coco;
pub mod collect;
pub mod compare;
pub mod differences;
mod error;
pub mod frozen;
pub mod given;
pub mod job;
pub mod judge;
pub mod label_maps;
pub mod masks;
mod method;
pub mod model;
pub mod picture;
pub mod predict;
mod print;
pub mod protocols;
pub mod run;
pub mod samples;
pub mod scores;
pub mod semantic;
pub mod table;
pub mod trained;

pub use error::EvalError;
pub use method::{Method, Trained};
pub use print::Table;
