//! Real images → captions, classes and prompts.
//!
//! The first stage. Its plan is the only one that looks at the outside world (a listing of
//! images); every later stage reads what this one committed. Captions come from BLIP-2 or BLIP, classes
//! from their nouns by dictionary: a rule that gives the same answer on every machine, whose
//! mistakes can be read in a data file and mended there (`vocabularies/*.toml`).

mod classes;
mod degenerate;
mod ground_truth;
mod open_vocabulary;
mod source;
mod stage;
mod vocabulary;
mod words;
mod worker;

pub use classes::prompt;
pub use degenerate::flags;
pub use ground_truth::GroundTruth;
pub use open_vocabulary::open_classes;
pub use source::{Images, Listing};
pub use stage::{Args, caption};
pub use vocabulary::{Vocabulary, VocabularyError};
pub use worker::CaptionWorker;
