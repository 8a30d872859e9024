//! What every table and document of the pipeline looks like.
//!
//! Stages never call one another: they meet in datasets. This crate is that meeting point and
//! nothing else: identities and seeds, the run spec, one Arrow schema with a typed row per kind
//! of dataset, and the documents that make a dataset committed. It is pure (no I/O beyond
//! reading a spec file, no async, no network, no tensor library), so that changing a format is
//! a ten-second edit and a reader needs nothing of ours but the schema.

pub mod dataset;
pub mod ids;
pub mod manifest;
pub mod plan;
pub mod seeds;
pub mod spec;

mod error;

pub use error::SchemaError;

/// Version of the table layouts; it is part of every dataset's identity.
pub const SCHEMA_VERSION: u32 = 1;
