//! More rows of the same: a dataset that begins where an earlier one is already.
//!
//! A source that grew, or of which more is taken, makes another dataset with another name, since a name
//! stands for its rows. Most of its shards are those of the earlier one all the same. They are adopted:
//! the new commit is created like any other and names the earlier dataset's objects, so that nothing is
//! made twice, nothing is copied and the earlier dataset stays as it is. A shard that was not full there
//! is begun with what it has, as a spill. An adopted object must stay where it is: whoever removes the
//! earlier dataset damages the later one, which `glassctl verify` tells.

use glass_schemas::ids::{DatasetId, ShardIndex};
use glass_schemas::manifest::{Commit, Spill};
use serde::{Deserialize, Serialize};

use crate::commit::{Outcome, commit_shard, create, from_json, to_json};
use crate::dataset::Dataset;
use crate::error::{DatasetError, Result};

/// `EXTENDS.json`.
#[derive(Serialize, Deserialize)]
struct Extends {
    extends: Vec<DatasetId>,
}

impl Dataset {
    /// The datasets of the store that differ from this one in their extent only, those with the most
    /// shards first. Whether they have samples in common is for their inputs to say.
    ///
    /// # Errors
    /// The store's errors; a dataset that cannot be opened is passed over.
    pub async fn of_other_extent(&self) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for id in Self::list(self.store(), self.id().kind()).await? {
            if id == *self.id() {
                continue;
            }
            match Self::open(self.store(), &id).await {
                Ok(other) if other.identity().differs_in_extent_only(self.identity()) => {
                    found.push(other);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(dataset = %id, %error, "passed over"),
            }
        }
        found.sort_by(|a, b| {
            let key = |dataset: &Self| (std::cmp::Reverse(dataset.identity().shards), dataset.id().clone());
            key(a).cmp(&key(b))
        });
        Ok(found)
    }

    /// Writes down which datasets this one extends, so that a run spec that means all of them means
    /// this one.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn set_extends(&self, extends: Vec<DatasetId>) -> Result<()> {
        let key = self.layout().extends();
        create(self.store(), &key, to_json(&key, &Extends { extends })?).await?;
        Ok(())
    }

    /// The datasets this one extends.
    ///
    /// # Errors
    /// The store's errors; [`DatasetError::Document`].
    pub async fn extends(&self) -> Result<Vec<DatasetId>> {
        let key = self.layout().extends();
        match self.store().get_if_there(&key).await? {
            Some(bytes) => Ok(from_json::<Extends>(&key, &bytes)?.extends),
            None => Ok(Vec::new()),
        }
    }

    /// Commits a shard with the objects of the same shard of an earlier dataset; `None` if that is not
    /// committed there.
    ///
    /// # Errors
    /// As [`crate::WrittenShard::commit`].
    pub async fn adopt(&self, earlier: &Self, shard: ShardIndex) -> Result<Option<Outcome>> {
        let Some(commit) = committed(earlier, shard).await? else {
            return Ok(None);
        };
        let key = self.layout().commit(shard);
        let adopted = of_dataset(earlier, commit);
        commit_shard(self.store(), &key, &adopted, &[]).await.map(Some)
    }

    /// Adopts the rounds of retries of a shard that was adopted, as far as they are not there yet.
    ///
    /// # Errors
    /// As [`crate::WrittenShard::commit`].
    pub async fn adopt_rounds(&self, earlier: &Self, shard: ShardIndex) -> Result<()> {
        let (Some(ours), Some(theirs)) = (committed(self, shard).await?, committed(earlier, shard).await?) else {
            return Ok(());
        };
        if ours.dataset.is_none() || ours.attempt != theirs.attempt {
            return Ok(());
        }
        let there = self.with_retries(ours).await?.len();
        let rounds = earlier.with_retries(theirs).await?;
        for (round, record) in (1_u32..).zip(rounds.into_iter().skip(1)).skip(there - 1) {
            let key = self.layout().retry(shard, round);
            let adopted = of_dataset(earlier, record);
            if commit_shard(self.store(), &key, &adopted, &[]).await? == Outcome::Lost {
                // It was retried here meanwhile.
                break;
            }
        }
        Ok(())
    }

    /// Begins a shard with the rows that it has in an earlier dataset, where it is not full: they
    /// become a spill of the first `inputs` inputs under the attempt's name `attempt`. `None` if the
    /// shard is not committed there or knows another number of inputs.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn adopt_beginning(
        &self,
        earlier: &Self,
        shard: ShardIndex,
        inputs: u64,
        attempt: &str,
    ) -> Result<Option<Spill>> {
        let Some(commit) = committed(earlier, shard).await? else {
            return Ok(None);
        };
        if inputs == 0 || commit.rows + commit.quarantined != inputs {
            return Ok(None);
        }
        let quarantine = earlier.quarantine_of(Some(&commit)).await?;
        let commit = of_dataset(earlier, commit);
        let spill = Spill {
            shard,
            start: 0,
            end: inputs,
            dataset: commit.dataset,
            data_key: commit.data_key,
            digest: commit.digest,
            bytes: commit.bytes,
            rows: commit.rows,
            quarantine,
            attempt: attempt.to_owned(),
        };
        let key = self.layout().spill(shard, 0, attempt);
        self.store().put(&key, to_json(&key, &spill)?).await?;
        Ok(Some(spill))
    }
}

/// A record that names where its objects are from anywhere.
fn of_dataset(dataset: &Dataset, commit: Commit) -> Commit {
    let owner = commit.dataset.clone().unwrap_or_else(|| dataset.id().clone());
    Commit { dataset: Some(owner), ..commit }
}

async fn committed(dataset: &Dataset, shard: ShardIndex) -> Result<Option<Commit>> {
    match dataset.commit(shard).await {
        Ok(commit) => Ok(Some(commit)),
        Err(DatasetError::NotCommitted { .. } | DatasetError::NoSuchShard { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
