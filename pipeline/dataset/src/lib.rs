//! Sharded, committed Parquet datasets on any object store.
//!
//! A dataset is a folder of shards that many workers fill at once, each of which may die, be
//! started twice or be cut off from the store at any moment. What makes that safe is in
//! [`commit`]: data goes under keys nobody else uses, and a shard exists from the moment one small
//! record is created, which only one attempt can do. Readers believe these records and nothing
//! else, so a torn or half-written object is never seen.
//!
//! ```text
//! <kind>/<dataset id>/SPEC.json                          what made it (identity)
//!                     data/<shard>-<attempt>.parquet     rows
//!                     quarantine/<shard>-<attempt>.parquet   samples that failed
//!                     spills/<shard>/<start>-<attempt>.parquet, .json   parts of shards under way
//!                     leases/<shard>.json                somebody is at work, a hint
//!                     commits/<shard>.json               the shard exists
//!                     EXTENDS.json                       datasets with the same first samples, if any
//!                     MANIFEST.json                      every shard exists
//!                     README.md                          the manifest for people and for dataset libraries
//! ```
//!
//! Memory is bounded by a row group when reading and by a row group and a few upload parts when
//! writing; nothing grows with the size of a shard or of a dataset.

pub mod commit;
pub mod conformance;
pub mod gc;

mod answer;
mod attempt;
mod card;
mod dataset;
mod error;
mod extend;
mod find;
mod layout;
mod lease;
mod read;
mod retry;
mod rounds;
mod spill;
mod store;
mod upload;
mod write;

pub use answer::Answer;
pub use attempt::Attempt;
pub use card::card;
pub use commit::{Created, Outcome};
pub use dataset::{Dataset, Progress};
pub use error::{DatasetError, Result};
pub use lease::{Claim, Lease};
pub use read::{BatchStream, Columns};
pub use retry::RetryPolicy;
pub use rounds::Standing;
pub use spill::SpillWriter;
pub use store::{Entry, PlainHttp, Store, StoreOptions, UnfinishedUpload};
pub use write::{ShardWriter, WrittenShard};
