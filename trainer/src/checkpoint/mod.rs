//! Saving a run so that it continues bit for bit.
//!
//! A checkpoint is written like a shard: objects under keys nobody else uses, then one record that
//! makes them exist. Every random draw is a function of the seed and the step, so no generator's
//! state is saved and no batch is replayed: weights, moments, averages and the step say it all.

mod cost;
mod export;
mod layout;
mod objects;
pub mod release;
mod run;
mod tensors;

pub use cost::{AttemptCost, Meter};
pub use export::export;
pub use layout::{SLOTS_LAYOUT, feature_names, norm_names, slot_names, unet_names, vqvae_names};
pub use objects::{Objects, pack, unpack};
pub use run::{CheckpointRecord, Run, RunDocument};
pub use tensors::{Named, Rename, collect, restore};
pub(crate) use tensors::{from_safetensors, to_safetensors};
