//! Looks after datasets, runs and checkpoints: the demo, and what a user asks of a store or a network.
//!
//! Everything but [`nets`] reads the store and starts the other programs; nothing here computes a sample.

mod ablation_table;
pub mod demo;
pub mod nets;
pub mod report;
mod text;
