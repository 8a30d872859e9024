//! `[store]` and `[execution]`: where things live and how fast; never part of an identity.

use serde::{Deserialize, Serialize};

/// Where datasets live and how the store is spoken to. Credentials never stand here: they come from
/// the environment and the clouds' usual files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSpec {
    /// A folder, `file://…`, `memory://`, `s3://bucket/prefix`, `gs://bucket/prefix` or
    /// `az://container/prefix`.
    pub uri: String,
    /// Endpoint of a compatible store, where it is not the cloud's own.
    pub endpoint: Option<String>,
    /// How an S3 bucket stands in a request's address.
    pub addressing: Option<Addressing>,
    /// HTTP proxy of every request, where the environment's is not meant.
    pub proxy: Option<String>,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Tries of one request before it fails.
    pub retries: usize,
    /// Wait before the second try, milliseconds; doubles with each further one.
    pub backoff_milliseconds: u64,
    /// No further try is started this long after the first, seconds.
    pub retry_seconds: u64,
    /// Longest time for one request, seconds.
    pub timeout_seconds: u64,
}

/// How an S3 bucket stands in a request's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addressing {
    /// `https://endpoint/bucket/key`: what servers of one's own understand.
    Path,
    /// `https://bucket.endpoint/key`.
    VirtualHosted,
}

impl Default for StoreSpec {
    fn default() -> Self {
        Self {
            uri: String::new(),
            endpoint: None,
            addressing: None,
            proxy: None,
            concurrency: 16,
            retries: 10,
            backoff_milliseconds: 100,
            retry_seconds: 120,
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
    /// Put a shard's rows aside when so many samples were made since the last time; 0: no such bound.
    /// A killed worker makes at most these again, and the few batches that were on their way.
    pub spill_samples: u64,
    /// Put a shard's rows aside when so many seconds have passed since the last time; 0: no such bound.
    pub spill_seconds: u64,
    /// With `--stragglers take`: how long a worker that finishes no batch keeps a shard to itself, seconds;
    /// 0: not at all.
    pub lease_seconds: u64,
}

impl Default for ExecutionSpec {
    fn default() -> Self {
        Self {
            device: "flex".to_owned(),
            caption_batch: 16,
            generate_batch: 8,
            mask_batch: 32,
            max_failed_share: 0.5,
            spill_samples: 0,
            spill_seconds: 60,
            lease_seconds: 300,
        }
    }
}
