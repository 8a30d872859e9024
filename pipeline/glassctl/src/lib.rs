//! Looks after datasets, runs and checkpoints: the demo, and what a user asks of a store or a network.
//!
//! Everything but [`nets`] reads the store and starts the other programs, or brings checkpoints to
//! where they find them; nothing here computes a sample.
//!
//! # Why downloads and PyTorch files are read by code of our own
//!
//! [`models`] keeps the cache layout of the Hugging Face hub and speaks its protocol through
//! `reqwest`, which the object store brings anyway. The `hf-hub` crate (1.x) was the first choice
//! and lacks what a download of 15 GB needs: a broken one begins again at byte 0, no digest is
//! compared, it has no time-out of its own, and it brings the client of another
//! storage protocol with all its crates.
//!
//! PyTorch files are read by 600 lines that know six functions by name and can call nothing else.
//! burn's reader (`pytorch-reader`) runs nothing either, but passes over unknown functions where a
//! file that names one should be refused, and its zip library switches features of crates that the
//! object store and the PNG encoder are built with.

pub mod benchmark;
pub mod card;
pub mod cli;
pub mod demo;
pub mod diff;
pub mod export;
pub mod failed;
pub mod gc;
pub mod inspect;
mod joined;
mod made;
pub mod models;
pub mod nets;
mod output;
pub mod plan;
pub mod regenerate;
pub mod report;
pub mod retry;
pub mod run;
mod runner;
mod scratch;
pub mod status;
pub mod submit;
mod target;
mod text;
pub mod verify;
