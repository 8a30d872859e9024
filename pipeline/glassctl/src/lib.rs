//! Looks after datasets and runs: the demo, and what a user asks of a store.
//!
//! Everything here reads the store and starts the other programs; nothing computes a sample. So
//! it needs no network library, builds in seconds and runs on a login node.

mod ablation_table;
pub mod demo;
pub mod report;
mod text;
