//! `[store]` and `[execution]`: where things live and how fast; never part of an identity.

use serde::{Deserialize, Serialize};

/// Where datasets live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSpec {
    /// A folder, `file://…`, `memory://…` or `s3://bucket/prefix`.
    pub uri: String,
    /// Endpoint of an S3-compatible store, where it is not the cloud's own.
    pub endpoint: Option<String>,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Tries of one request before it fails.
    pub retries: usize,
    /// Longest time for one request, seconds.
    pub timeout_seconds: u64,
}

impl Default for StoreSpec {
    fn default() -> Self {
        Self {
            uri: String::new(),
            endpoint: None,
            concurrency: 16,
            retries: 10,
            timeout_seconds: 120,
        }
    }
}

/// What changes speed only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExecutionSpec {
    /// `flex` (CPU), `cuda` or `wgpu`, as compiled in.
    pub device: String,
    /// Images captioned at once.
    pub caption_batch: usize,
    /// Images drawn at once.
    pub generate_batch: usize,
    /// Masks extracted at once.
    pub mask_batch: usize,
    /// Stop a stage when more than this share of a shard fails.
    pub max_failed_share: f64,
}

impl Default for ExecutionSpec {
    fn default() -> Self {
        Self {
            device: "flex".to_owned(),
            caption_batch: 16,
            generate_batch: 8,
            mask_batch: 32,
            max_failed_share: 0.5,
        }
    }
}
