//! A commit record, as its document has it.

use serde::Deserialize;
use serde_json::Value;

/// What a commit says; the fields are those that are compared with something.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    pub(super) shard: u32,
    pub(super) data_key: String,
    /// SHA-256 in hexadecimal digits.
    pub(super) digest: String,
    pub(super) bytes: u64,
    pub(super) rows: u64,
    pub(super) first_sample: Option<String>,
    pub(super) last_sample: Option<String>,
    pub(super) quarantined: u64,
    pub(super) quarantine_key: Option<String>,
    pub(super) attempt: String,
}

impl Record {
    pub(super) fn deserialize(json: &Value) -> serde_json::Result<Self> {
        <Self as Deserialize>::deserialize(json)
    }
}
