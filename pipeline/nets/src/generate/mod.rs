//! Writing text token by token, shared by every language model that writes captions.
//!
//! A model reads its prompt and hands over a `Start`: what it remembers and the scores of the first new
//! token. From there greedy and beam search only need `Decoder::step`, and follow transformers'
//! `GenerationMixin.generate` token for token.
//!
//! A picture gets the caption that it gets alone, whatever else is in its batch: searches never look at
//! each other, and a single row is computed twice because the processor adds up the product of a lone row
//! in another order.

mod batch;
mod beam;
mod cache;
mod config;
mod options;
mod scores;
mod search;

pub use batch::TokenBatch;
pub(crate) use batch::{Padding, Positions};
pub(crate) use cache::KeyValues;
pub(crate) use config::GenerationConfig;
pub use config::TokenIds;
pub use options::{EarlyStopping, GenerateOptions};
pub(crate) use search::{Decoder, Memory, Start, generate, sequences};
