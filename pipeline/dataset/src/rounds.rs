//! Samples that were made in a later pass: what a shard holds beside its first commit.
//!
//! A commit never changes, so a sample that failed and is made again cannot go into its shard. It
//! goes beside it: round n of a shard is a record `retries/<shard>-<n>.json` of the same form as a
//! commit, created in the same way, which names the rows made in that round and *all* samples still
//! in quarantine afterwards. The parts of a shard are its commit and its rounds 1, 2, …; its rows are
//! those of all parts, its quarantine is that of the last. A round exists only where the one before
//! it does, so looking for the next one until there is none finds them all.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use glass_schemas::dataset::{QuarantineRow, Row};
use glass_schemas::ids::ShardIndex;
use glass_schemas::manifest::Commit;

use crate::commit::from_json;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::layout::retry_of_record;
use crate::read::{self, BatchStream, Columns};

/// What is in a dataset, all passes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Rows.
    pub rows: u64,
    /// Their objects' bytes.
    pub bytes: u64,
    /// Samples in quarantine.
    pub quarantined: u64,
    /// Rounds of retries.
    pub rounds: u32,
}

impl Standing {
    /// Counts the parts of a shard.
    pub fn add(&mut self, parts: &[Commit]) {
        self.rows += parts.iter().map(|part| part.rows).sum::<u64>();
        self.bytes += parts.iter().map(|part| part.bytes).sum::<u64>();
        self.quarantined += parts.last().map_or(0, |part| part.quarantined);
        self.rounds += u32::try_from(parts.len().saturating_sub(1)).unwrap_or(u32::MAX);
    }
}

impl Dataset {
    /// The parts of a committed shard: its commit, then its rounds of retries.
    ///
    /// # Errors
    /// As [`Dataset::commit`].
    pub async fn parts(&self, shard: ShardIndex) -> Result<Vec<Commit>> {
        self.with_retries(self.commit(shard).await?).await
    }

    /// A shard's commit, followed by its rounds.
    ///
    /// # Errors
    /// The store's errors; [`crate::DatasetError::Document`].
    pub async fn with_retries(&self, commit: Commit) -> Result<Vec<Commit>> {
        let shard = commit.shard;
        let mut parts = vec![commit];
        for round in 1.. {
            let key = self.layout().retry(shard, round);
            match self.store().get_if_there(&key).await? {
                Some(bytes) => parts.push(from_json(&key, &bytes)?),
                None => break,
            }
        }
        Ok(parts)
    }

    /// How many rounds each shard has, from one listing; shards without one are left out.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn retries(&self) -> Result<BTreeMap<ShardIndex, u32>> {
        let keys = self.store().list_keys(&self.layout().retries()).await?;
        let mut rounds = BTreeMap::new();
        for (shard, _) in keys.iter().filter_map(|key| retry_of_record(key)) {
            *rounds.entry(shard).or_default() += 1;
        }
        Ok(rounds)
    }

    /// What is in it now, from the records of every committed shard.
    ///
    /// # Errors
    /// The store's errors; [`crate::DatasetError::Document`].
    pub async fn standing(&self) -> Result<Standing> {
        let mut standing = Standing::default();
        let retried = self.retries().await?;
        let mut commits = std::pin::pin!(self.commits(self.committed().await?));
        while let Some(commit) = commits.try_next().await? {
            let parts = match retried.contains_key(&commit.shard) {
                true => self.with_retries(commit).await?,
                false => vec![commit],
            };
            standing.add(&parts);
        }
        Ok(standing)
    }

    /// The rows of one part of a shard; see [`Dataset::stream_shard`].
    ///
    /// # Errors
    /// As [`Dataset::stream_shard`].
    pub async fn stream_part(&self, part: &Commit, columns: Columns<'_>) -> Result<BatchStream> {
        let key = self.layout().object(part.dataset.as_ref(), &part.data_key);
        read::stream(self.store().clone(), key, part.into(), columns).await
    }

    /// The rows of all parts, one after the other; the next is opened when the one before ended.
    pub(crate) async fn stream_parts(&self, parts: Vec<Commit>, columns: Columns<'_>) -> Result<BatchStream> {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else {
            return Ok(stream::empty().boxed());
        };
        let first = self.stream_part(&first, columns).await?;
        if parts.len() == 0 {
            return Ok(first);
        }
        let columns = OwnedColumns::from(columns);
        let dataset = self.clone();
        let rest = stream::iter(parts).then(move |part| {
            let (dataset, columns) = (dataset.clone(), columns.clone());
            async move { columns.stream(&dataset, &part).await }
        });
        Ok(first.chain(rest.try_flatten()).boxed())
    }

    /// The failed samples that one part says are left.
    ///
    /// # Errors
    /// [`crate::DatasetError::Parquet`], the store's errors.
    pub async fn quarantine_of(&self, part: Option<&Commit>) -> Result<Vec<QuarantineRow>> {
        let key = part.and_then(|part| {
            let relative = part.quarantine_key.as_ref()?;
            Some(self.layout().object(part.dataset.as_ref(), relative))
        });
        let Some(key) = key else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::new();
        for batch in &read::whole_table(&key, self.store().get(&key).await?)? {
            rows.extend(QuarantineRow::decode(batch)?);
        }
        Ok(rows)
    }
}

/// Column names that outlive the call.
#[derive(Clone)]
enum OwnedColumns {
    All,
    Only(Vec<String>),
}

impl From<Columns<'_>> for OwnedColumns {
    fn from(columns: Columns<'_>) -> Self {
        match columns {
            Columns::All => Self::All,
            Columns::Only(names) => Self::Only(names.iter().map(|&name| name.to_owned()).collect()),
        }
    }
}

impl OwnedColumns {
    async fn stream(&self, dataset: &Dataset, part: &Commit) -> Result<BatchStream> {
        match self {
            Self::All => dataset.stream_part(part, Columns::All).await,
            Self::Only(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                dataset.stream_part(part, Columns::Only(&names)).await
            }
        }
    }
}
