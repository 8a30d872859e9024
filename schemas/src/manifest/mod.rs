//! The documents that make a dataset: identity, commit, manifest.
//!
//! `SPEC.json` is the identity, written before any work. `commits/<shard>.json` makes a shard
//! visible. `MANIFEST.json` says that the plan is covered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::QuarantineRow;
use crate::ids::{DatasetId, DatasetKind, Digest, SampleId, ShardIndex};
use crate::{SCHEMA_VERSION, SchemaError};

/// What made a dataset; its id is the hash of this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The dataset's name.
    pub id: DatasetId,
    /// The stage that writes it.
    pub stage: String,
    /// Version of the table layout.
    pub schema_version: u32,
    /// The seed of the run, where the stage draws random numbers.
    pub run_seed: u64,
    /// The stage's resolved spec: every default written out.
    pub spec: Value,
    /// The datasets read.
    pub upstream: Vec<DatasetId>,
    /// Digest of every weight folder used, by role.
    pub weights: BTreeMap<String, Digest>,
    /// Number of shards in the plan.
    pub shards: u32,
    /// The licences of what it was made of, by role, as far as they are known. No part of the name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub licences: BTreeMap<String, String>,
}

/// The parts of an [`Identity`] that its id is computed from.
#[derive(Clone, Debug)]
pub struct IdentityParts {
    /// What the dataset holds.
    pub kind: DatasetKind,
    /// The stage that writes it.
    pub stage: String,
    /// The seed of the run.
    pub run_seed: u64,
    /// The stage's resolved spec.
    pub spec: Value,
    /// The datasets read.
    pub upstream: Vec<DatasetId>,
    /// Digest of every weight folder used, by role.
    pub weights: BTreeMap<String, Digest>,
    /// Number of shards in the plan.
    pub shards: u32,
}

impl Identity {
    /// Names a dataset by what makes it.
    pub fn new(parts: IdentityParts) -> Self {
        let document = serde_json::json!({
            "stage": parts.stage,
            "schema_version": SCHEMA_VERSION,
            "run_seed": parts.run_seed,
            "spec": sorted(&parts.spec),
            "upstream": parts.upstream,
            "weights": parts.weights,
            "shards": parts.shards,
        });
        Self {
            id: DatasetId::new(parts.kind, &Digest::of(document.to_string().as_bytes())),
            stage: parts.stage,
            schema_version: SCHEMA_VERSION,
            run_seed: parts.run_seed,
            spec: sorted(&parts.spec),
            upstream: parts.upstream,
            weights: parts.weights,
            shards: parts.shards,
            licences: BTreeMap::new(),
        }
    }

    /// The same with what is known of licences.
    #[must_use]
    pub fn with_licences(mut self, licences: impl IntoIterator<Item = (String, String)>) -> Self {
        self.licences.extend(licences);
        self
    }

    /// Whether it says the same of what its name is made of.
    pub fn is_same(&self, other: &Self) -> bool {
        let without = |identity: &Self| Self { licences: BTreeMap::new(), ..identity.clone() };
        without(self) == without(other)
    }

    /// Whether two datasets differ at most in how many samples are planned and in the datasets they were
    /// made from: then a sample that both plan is the same in both.
    pub fn differs_in_extent_only(&self, other: &Self) -> bool {
        let weights = |identity: &Self| {
            let mut weights = identity.weights.clone();
            weights.remove(LISTING);
            weights
        };
        self.id.kind() == other.id.kind()
            && self.stage == other.stage
            && self.schema_version == other.schema_version
            && self.run_seed == other.run_seed
            && without_extent(&self.spec) == without_extent(&other.spec)
            && weights(self) == weights(other)
            && self.upstream.len() == other.upstream.len()
    }

    /// Refuses a dataset of another table layout.
    ///
    /// # Errors
    /// [`SchemaError::InvalidSpec`] naming both versions.
    pub fn check_version(&self) -> Result<(), SchemaError> {
        if self.schema_version == SCHEMA_VERSION {
            return Ok(());
        }
        Err(SchemaError::InvalidSpec {
            origin: format!("{}/SPEC.json", self.id.path()),
            message: format!("`schema_version` is {}, this build reads {SCHEMA_VERSION}", self.schema_version),
            hint: Some("use the release that wrote it, or make the dataset again".to_owned()),
        })
    }
}

/// The role under which an identity names the listing of a source.
pub const LISTING: &str = "listing";

/// A stage's spec without the number of images it takes of its source.
fn without_extent(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(source) = spec.get_mut("source").and_then(Value::as_object_mut) {
        source.remove("limit");
    }
    spec
}

/// Keys in one order, so that the same spec always has the same text.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<_, _> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The record whose existence commits a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// The shard.
    pub shard: ShardIndex,
    /// The dataset whose folder has the objects, where it is an earlier one with the same shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetId>,
    /// Object that holds its rows, relative to that dataset.
    pub data_key: String,
    /// SHA-256 of that object.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Sample of the first row.
    pub first_sample: Option<SampleId>,
    /// Sample of the last row.
    pub last_sample: Option<SampleId>,
    /// Samples that failed.
    pub quarantined: u64,
    /// Object that holds their rows, relative to the dataset.
    pub quarantine_key: Option<String>,
    /// Name of the attempt that wrote it.
    pub attempt: String,
}

/// The record of a part of a shard that was put aside while the rest was made. It commits nothing: a
/// later attempt may begin where it ends, and it goes when the shard is committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spill {
    /// The shard.
    pub shard: ShardIndex,
    /// Number of the first input it covers, counted in the shard.
    pub start: u64,
    /// Number after the last input it covers.
    pub end: u64,
    /// The dataset whose folder has the object, where it is a shard of an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetId>,
    /// Object that holds its rows, relative to that dataset.
    pub data_key: String,
    /// SHA-256 of that object.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// The inputs that failed.
    pub quarantine: Vec<QuarantineRow>,
    /// Name of the attempt that wrote it.
    pub attempt: String,
}

/// The document that says that a dataset is complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What made it.
    pub identity: Identity,
    /// Rows over all shards.
    pub rows: u64,
    /// Bytes over all shards.
    pub bytes: u64,
    /// Samples that failed over all shards.
    pub quarantined: u64,
    /// Every shard's commit, in order.
    pub shards: Vec<Commit>,
}

impl Manifest {
    /// The manifest of a covered plan.
    pub fn new(identity: Identity, shards: Vec<Commit>) -> Self {
        Self {
            rows: shards.iter().map(|commit| commit.rows).sum(),
            bytes: shards.iter().map(|commit| commit.bytes).sum(),
            quarantined: shards.iter().map(|commit| commit.quarantined).sum(),
            identity,
            shards,
        }
    }

    /// Share of the planned samples that have a row (1 for an empty plan).
    pub fn coverage(&self) -> f64 {
        match self.rows + self.quarantined {
            0 => 1.0,
            planned => self.rows as f64 / planned as f64,
        }
    }
}
