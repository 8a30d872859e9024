//! The hub's HTTP interface, as much of it as a download needs.
//!
//! A thin layer on `reqwest`; why not the `hf-hub` crate stands in the crate's documentation.

mod answer;
mod attempts;
mod client;
mod download;
mod error;

pub(super) use attempts::Retry;
pub(super) use client::{Hub, Remote};
pub(super) use download::Download;
pub(super) use error::HubError;
