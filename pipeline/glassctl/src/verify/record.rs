//! A commit record, as its document has it.

use glass_schemas::ids::DatasetId;
use serde::Deserialize;
use serde_json::Value;

/// What a commit says; the fields are those that are compared with something.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Record {
    pub(super) shard: u32,
    /// The dataset whose folder has the objects, where it is not the record's own.
    #[serde(default)]
    pub(super) dataset: Option<DatasetId>,
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
    /// The key of an object that the record of dataset `own` names.
    pub(super) fn key(&self, own: &DatasetId, relative: &str) -> String {
        format!("{}/{relative}", self.dataset.as_ref().unwrap_or(own).path())
    }

    pub(super) fn deserialize(json: &Value) -> serde_json::Result<Self> {
        <Self as Deserialize>::deserialize(json)
    }
}

/// A committed shard: its commit, with its plain JSON for the manifest to be compared with, and the
/// rounds of retries after it.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) record: Record,
    pub(super) json: Value,
    pub(super) rounds: Vec<Record>,
}

impl Committed {
    /// The commit, then the rounds.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Record> {
        std::iter::once(&self.record).chain(&self.rounds)
    }

    /// Samples in quarantine after the last round.
    pub(super) fn quarantined(&self) -> u64 {
        self.rounds.last().unwrap_or(&self.record).quarantined
    }
}
