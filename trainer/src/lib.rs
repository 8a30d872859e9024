//! Trains slots on generated pictures and looks at what they learned.
//!
//! The trainer is made of sockets: an encoder gives features, an initializer starts slots, a
//! grouping makes them compete, decoders turn them back into features and images, guidance pulls
//! them towards pseudo-masks. A socket is filled by the run spec; nothing downstream asks which
//! method fills it. The loop around them is ours and not a framework's because it must stop
//! anywhere, continue bit for bit, and change what is trained between two phases.

pub mod autoencoder;
pub mod checkpoint;
pub mod cli;
pub mod commands;
pub mod data;
pub mod decoders;
pub mod encoders;
pub mod error;
pub mod eval;
pub mod fidelity;
pub mod generate;
pub mod grouping;
pub mod guidance;
pub mod initializers;
pub mod layers;
pub mod losses;
pub mod optim;
pub mod parts;
pub mod phases;
pub mod probe;
pub mod track;
pub mod viz;

pub use error::{Result, TrainerError};
