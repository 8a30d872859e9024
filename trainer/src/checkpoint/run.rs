//! A run in the store: `runs/<run_id>/…`.

use std::collections::BTreeMap;

use glass_dataset::commit::create;
use glass_dataset::{Attempt, Store};
use glass_schemas::ids::{DatasetId, Digest};
use glass_schemas::spec::trainer::TrainerSpec;
use serde::{Deserialize, Serialize};

use super::objects::Objects;
use crate::error::{Result, TrainerError};

/// What makes a run; its id is the hash of this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDocument {
    /// Every constant, defaults written out.
    pub spec: TrainerSpec,
    /// The seed of weights, order, noise.
    pub seed: u64,
    /// The datasets trained on.
    pub datasets: Vec<DatasetId>,
    /// Digest of the real images trained on: names, sizes, annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Digest>,
    /// Digest of the pretrained weights by role.
    pub weights: BTreeMap<String, Digest>,
}

/// The record whose existence commits a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    /// Steps done.
    pub step: u64,
    /// Folder of the objects, relative to the run.
    pub folder: String,
    /// Digest of each object by name.
    pub objects: BTreeMap<String, Digest>,
}

/// A run's place in a store.
#[derive(Debug, Clone)]
pub struct Run {
    store: Store,
    id: String,
}

impl RunDocument {
    /// `run-` and the first 16 digits of the hash.
    ///
    /// # Errors
    /// [`TrainerError::State`] where the document cannot be written.
    pub fn id(&self) -> Result<String> {
        let value = serde_json::to_value(self).map_err(|error| TrainerError::state("RUN.json", error))?;
        // Through a sorted map, so that the order of fields is no part of the id.
        let sorted = sort(value).to_string();
        Ok(format!("run-{}", Digest::of(sorted.as_bytes()).short(16)))
    }
}

fn sort(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<_, _> = map.into_iter().map(|(k, v)| (k, sort(v))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sort).collect()),
        other => other,
    }
}

impl Run {
    /// Opens a run or creates it: `RUN.json` says what it is.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn create(store: &Store, document: &RunDocument) -> Result<Self> {
        let run = Self { store: store.clone(), id: document.id()? };
        let json = serde_json::to_vec_pretty(document).map_err(|error| TrainerError::state("RUN.json", error))?;
        create(store, &run.key("RUN.json"), json.into()).await?;
        Ok(run)
    }

    /// Opens a run by its id.
    ///
    /// # Errors
    /// [`TrainerError::State`] where there is none; the store's errors.
    pub async fn open(store: &Store, id: &str) -> Result<(Self, RunDocument)> {
        let run = Self { store: store.clone(), id: id.to_owned() };
        let key = run.key("RUN.json");
        let Some(bytes) = store.get_if_there(&key).await? else {
            return Err(TrainerError::state(&key, "there is no such run"));
        };
        let document = serde_json::from_slice(&bytes).map_err(|error| TrainerError::state(&key, error))?;
        Ok((run, document))
    }

    /// The runs of a store.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn list(store: &Store) -> Result<Vec<String>> {
        let mut ids = store.list_folders("runs").await?;
        ids.sort();
        Ok(ids)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The store it is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The key of an object of the run.
    pub fn key(&self, name: &str) -> String {
        format!("runs/{}/{name}", self.id)
    }

    /// Steps of the committed checkpoints, in order.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn checkpoints(&self) -> Result<Vec<u64>> {
        let keys = self.store.list_keys(&self.key("commits")).await?;
        let mut steps: Vec<u64> =
            keys.iter().filter_map(|key| key.rsplit('/').next()?.strip_suffix(".json")?.parse().ok()).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Writes and commits a checkpoint. A checkpoint that is there already stays.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn save(&self, step: u64, objects: Objects) -> Result<()> {
        let folder = format!("checkpoints/{step:08}-{}", Attempt::new());
        let mut record = CheckpointRecord { step, folder, objects: BTreeMap::new() };
        for (name, bytes) in objects {
            record.objects.insert(name.clone(), Digest::of(&bytes));
            let key = self.key(&format!("{}/{name}", record.folder));
            if let Err(error) = self.store.put(&key, bytes.into()).await {
                self.forget(&record).await;
                return Err(error.into());
            }
        }
        let json = serde_json::to_vec_pretty(&record).map_err(|error| TrainerError::state("checkpoint", error))?;
        create(&self.store, &self.commit_key(step), json.into()).await?;
        Ok(())
    }

    /// The record of a committed checkpoint.
    ///
    /// # Errors
    /// [`TrainerError::State`] where the step was not saved; the store's errors.
    pub async fn record(&self, step: u64) -> Result<CheckpointRecord> {
        let key = self.commit_key(step);
        let Some(bytes) = self.store.get_if_there(&key).await? else {
            return Err(TrainerError::state(&key, "there is no such checkpoint"));
        };
        serde_json::from_slice(&bytes).map_err(|error| TrainerError::state(&key, error))
    }

    /// The objects of a committed checkpoint, checked against their digests.
    ///
    /// # Errors
    /// [`TrainerError::State`] naming an object that is not what was committed; the store's errors.
    pub async fn load(&self, step: u64) -> Result<Objects> {
        let record = self.record(step).await?;
        let mut objects = Objects::new();
        for (name, digest) in &record.objects {
            let key = self.key(&format!("{}/{name}", record.folder));
            let bytes = self.store.get(&key).await?;
            if Digest::of(&bytes) != *digest {
                return Err(TrainerError::state(&key, "not the bytes that were committed"));
            }
            objects.insert(name.clone(), bytes.to_vec());
        }
        Ok(objects)
    }

    /// Removes what was written of a checkpoint that will not be committed: on a full disk it would be in the
    /// way of the next try.
    async fn forget(&self, record: &CheckpointRecord) {
        for name in record.objects.keys() {
            let key = self.key(&format!("{}/{name}", record.folder));
            if let Err(error) = self.store.delete(&key).await {
                tracing::warn!(key, %error, "a part of a checkpoint that was not saved stays behind");
            }
        }
    }

    fn commit_key(&self, step: u64) -> String {
        self.key(&format!("commits/{step:08}.json"))
    }
}
