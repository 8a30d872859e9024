//! One dataset: its identity, its commits, its manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use glass_schemas::SCHEMA_VERSION;
use glass_schemas::dataset::QuarantineRow;
use glass_schemas::ids::{DatasetId, DatasetKind, ShardIndex};
use glass_schemas::manifest::{Commit, Identity, Manifest};

use crate::card::card;
use crate::commit::{Created, Outcome, create, from_json, to_json};
use crate::error::{DatasetError, Result};
use crate::layout::{Layout, shard_of_commit};
use crate::read::{self, BatchStream, Columns};
use crate::store::Store;
use crate::write::ShardWriter;

/// Commit records read at once.
const COMMITS_AT_ONCE: usize = 32;

/// A dataset in a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dataset {
    store: Store,
    identity: Arc<Identity>,
    layout: Layout,
}

/// How far a dataset is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Shards in the plan.
    pub shards: u32,
    /// Shards committed.
    pub committed: u32,
}

impl Dataset {
    /// Creates the dataset with this identity, or opens the one that is there. Any number of
    /// workers may do this at once.
    ///
    /// # Errors
    /// [`DatasetError::OtherIdentity`] if its `SPEC.json` says something else; the store's errors.
    pub async fn create(store: &Store, identity: &Identity) -> Result<Self> {
        let layout = Layout::new(&identity.id);
        let key = layout.spec();
        let found = match store.get_if_there(&key).await? {
            Some(found) => Some(found),
            None => match create(store, &key, to_json(&key, identity)?).await? {
                Created::New => None,
                Created::Found(found) => Some(found),
            },
        };
        let identity = match found {
            None => identity.clone(),
            Some(found) => {
                let found = from_json::<Identity>(&key, &found)?;
                if !found.is_same(identity) {
                    return Err(DatasetError::OtherIdentity { store: store.uri().to_owned(), id: identity.id.clone() });
                }
                found
            }
        };
        Ok(Self { store: store.clone(), identity: Arc::new(identity), layout })
    }

    /// Opens a dataset that is there.
    ///
    /// # Errors
    /// [`DatasetError::UnknownDataset`], [`DatasetError::OtherVersion`], [`DatasetError::Document`].
    pub async fn open(store: &Store, id: &DatasetId) -> Result<Self> {
        let layout = Layout::new(id);
        let key = layout.spec();
        let found = store.get_if_there(&key).await?;
        let bytes =
            found.ok_or_else(|| DatasetError::UnknownDataset { store: store.uri().to_owned(), id: id.clone() })?;
        let identity = read_identity(&key, id, &bytes)?;
        if identity.id != *id {
            return Err(DatasetError::OtherIdentity { store: store.uri().to_owned(), id: id.clone() });
        }
        Ok(Self { store: store.clone(), identity: Arc::new(identity), layout })
    }

    /// The datasets of one kind in a store.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn list(store: &Store, kind: DatasetKind) -> Result<Vec<DatasetId>> {
        let folders = store.list_folders(kind.as_str()).await?;
        let mut ids: Vec<DatasetId> = folders.iter().filter_map(|name| name.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    /// Its name.
    pub fn id(&self) -> &DatasetId {
        &self.identity.id
    }

    /// What made it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The store it is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The shards that are committed, from one listing.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn committed(&self) -> Result<BTreeSet<ShardIndex>> {
        let keys = self.store.list_keys(&self.layout.commits()).await?;
        let shards = keys.iter().filter_map(|key| shard_of_commit(key));
        Ok(shards.filter(|shard| shard.0 < self.identity.shards).collect())
    }

    /// When each committed shard was committed by the store's clock, in seconds since 1970, from one
    /// listing.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn commit_times(&self) -> Result<BTreeMap<ShardIndex, i64>> {
        let mut times = BTreeMap::new();
        let mut entries = self.store.list(&self.layout.commits());
        while let Some(entry) = entries.try_next().await? {
            let shard = shard_of_commit(&entry.key);
            if let Some(shard) = shard.filter(|shard| shard.0 < self.identity.shards) {
                times.insert(shard, entry.modified);
            }
        }
        Ok(times)
    }

    /// How far it is, from one listing.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn progress(&self) -> Result<Progress> {
        let committed = self.committed().await?.len();
        Ok(Progress { shards: self.identity.shards, committed: u32::try_from(committed).unwrap_or(u32::MAX) })
    }

    /// The record of a committed shard.
    ///
    /// # Errors
    /// [`DatasetError::NotCommitted`], [`DatasetError::NoSuchShard`], [`DatasetError::Document`].
    pub async fn commit(&self, shard: ShardIndex) -> Result<Commit> {
        let key = self.layout.commit(shard);
        match self.store.get_if_there(&key).await? {
            Some(bytes) => from_json(&key, &bytes),
            None if shard.0 >= self.identity.shards => {
                Err(DatasetError::NoSuchShard { id: self.id().clone(), shard, shards: self.identity.shards })
            }
            None => Err(DatasetError::NotCommitted { id: self.id().clone(), shard }),
        }
    }

    /// The records of these shards, in order, several read at once.
    pub fn commits(
        &self,
        shards: impl IntoIterator<Item = ShardIndex, IntoIter: Send>,
    ) -> impl Stream<Item = Result<Commit>> {
        stream::iter(shards).map(|shard| self.commit(shard)).buffered(COMMITS_AT_ONCE)
    }

    /// Starts an attempt at a shard.
    ///
    /// # Errors
    /// [`DatasetError::Parquet`] if the schema has a type that Parquet does not.
    pub fn shard_writer(&self, shard: ShardIndex, schema: SchemaRef) -> Result<ShardWriter> {
        ShardWriter::new(self.clone(), shard, schema)
    }

    /// Writes and commits a shard that is in memory as a whole.
    ///
    /// # Errors
    /// As [`ShardWriter::write`] and [`crate::WrittenShard::commit`].
    pub async fn write_shard(
        &self,
        shard: ShardIndex,
        schema: SchemaRef,
        batches: Vec<RecordBatch>,
        quarantine: &[QuarantineRow],
    ) -> Result<Outcome> {
        let mut writer = self.shard_writer(shard, schema)?;
        for batch in batches {
            if let Err(error) = writer.write(batch).await {
                writer.abort().await;
                return Err(error);
            }
        }
        writer.finish(quarantine).await?.commit().await
    }

    /// The rows of a shard, row group by row group, in order; those of later rounds at the end.
    ///
    /// With [`Columns::All`] the whole object passes by and its digest is verified: the stream ends
    /// with [`DatasetError::Damaged`] if it does not match. With [`Columns::Only`] just the ranges
    /// of these columns are fetched and only the object's size is checked.
    ///
    /// # Errors
    /// [`DatasetError::NotCommitted`], [`DatasetError::NoColumn`], [`DatasetError::Damaged`],
    /// [`DatasetError::Parquet`] and the store's errors.
    pub async fn stream_shard(&self, shard: ShardIndex, columns: Columns<'_>) -> Result<BatchStream> {
        let parts = self.parts(shard).await?;
        self.stream_parts(parts, columns).await
    }

    /// The rows of a shard at once; see [`Dataset::stream_shard`].
    ///
    /// # Errors
    /// As [`Dataset::stream_shard`].
    pub async fn read_shard(&self, shard: ShardIndex, columns: Columns<'_>) -> Result<Vec<RecordBatch>> {
        self.stream_shard(shard, columns).await?.try_collect().await
    }

    /// The samples of a committed shard that failed and were not made since.
    ///
    /// # Errors
    /// As [`Dataset::commit`]; [`DatasetError::Parquet`].
    pub async fn quarantine(&self, shard: ShardIndex) -> Result<Vec<QuarantineRow>> {
        let parts = self.parts(shard).await?;
        self.quarantine_of(parts.last()).await
    }

    /// Reads a shard's objects from end to end and compares them with their commit and rounds,
    /// holding no more than a chunk. Returns the commit.
    ///
    /// # Errors
    /// [`DatasetError::Damaged`], [`DatasetError::Missing`] if the object is gone, and as
    /// [`Dataset::commit`].
    pub async fn verify_shard(&self, shard: ShardIndex) -> Result<Commit> {
        let commit = self.commit(shard).await?;
        for part in self.with_retries(commit.clone()).await? {
            let key = self.layout.object(part.dataset.as_ref(), &part.data_key);
            read::verify(&self.store, &key, &part).await?;
        }
        Ok(commit)
    }

    /// Writes the manifest, and the card beside it, if every shard is committed; `None` if some are
    /// missing. What was put aside on the way goes first.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn finish(&self) -> Result<Option<Manifest>> {
        if let Some(manifest) = self.manifest().await? {
            // A process may have died between the two.
            if self.store.size(&self.layout.card()).await?.is_none() {
                self.write_card(&manifest).await?;
            }
            return Ok(Some(manifest));
        }
        let committed = self.committed().await?;
        if committed.len() != self.identity.shards as usize {
            return Ok(None);
        }
        let commits: Vec<Commit> = self.commits(committed).try_collect().await?;
        self.drop_all_spills().await?;
        let manifest = Manifest::new(self.identity.as_ref().clone(), commits);
        let key = self.layout.manifest();
        let manifest = match create(&self.store, &key, to_json(&key, &manifest)?).await? {
            Created::New => manifest,
            Created::Found(found) => from_json(&key, &found)?,
        };
        self.write_card(&manifest).await?;
        Ok(Some(manifest))
    }

    /// The dataset's card, `README.md` beside the manifest. It says what the manifest says, so it may
    /// be written any number of times.
    async fn write_card(&self, manifest: &Manifest) -> Result<()> {
        self.store.put(&self.layout.card(), card(manifest).into()).await
    }

    /// The manifest, `None` while the dataset is not complete.
    ///
    /// # Errors
    /// The store's errors; [`DatasetError::Document`].
    pub async fn manifest(&self) -> Result<Option<Manifest>> {
        let key = self.layout.manifest();
        let found = self.store.get_if_there(&key).await?;
        found.map(|bytes| from_json(&key, &bytes)).transpose()
    }
}

/// Reads `SPEC.json`, its version first: a later version may have other fields.
fn read_identity(key: &str, id: &DatasetId, bytes: &[u8]) -> Result<Identity> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let found = from_json::<Version>(key, bytes)?.schema_version;
    if found != SCHEMA_VERSION {
        return Err(DatasetError::OtherVersion { id: id.clone(), found, expected: SCHEMA_VERSION });
    }
    from_json(key, bytes)
}
