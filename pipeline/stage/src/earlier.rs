//! Datasets that were made before from some of the same inputs, and what of them can be adopted.

use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{Array, StringArray};
use futures::stream::{self, StreamExt, TryStreamExt};
use glass_dataset::{Columns, Dataset, DatasetError};
use glass_schemas::ids::ShardIndex;
use glass_schemas::manifest::Commit;
use glass_schemas::plan::Plan;

use crate::error::Result;

/// Shards looked at and adopted at once.
const AT_ONCE: usize = 16;

/// A dataset that was made before, or the several of one stage, in the order of [`crate::Job::datasets`].
#[derive(Clone, Debug)]
pub struct Earlier {
    /// Where its rows are.
    pub datasets: Vec<Dataset>,
    /// Which of its inputs are this job's.
    pub common: Common,
}

/// Which inputs two datasets have in common.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a job has a few of them")]
pub enum Common {
    /// The first ones of a list that is cut into shards of one size: the earlier list.
    First(Plan),
    /// Rows of shards upstream, each of which is so many inputs.
    Upstream {
        /// What this job reads.
        ours: Dataset,
        /// What the earlier dataset was made from.
        theirs: Dataset,
        /// Inputs that a row becomes.
        inputs: u32,
    },
}

/// How much of a shard is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Whole,
    Beginning(u64),
    Nothing,
}

/// The datasets whose upstream has samples in common with this job's `upstream`, a row of which becomes
/// so many inputs.
///
/// # Errors
/// The store's errors.
pub async fn earlier_of_upstream(datasets: &[Dataset], upstream: &Dataset, inputs: u32) -> Result<Vec<Earlier>> {
    let mut found = Vec::new();
    let Some((head, others)) = datasets.split_last() else {
        return Ok(found);
    };
    if head.manifest().await?.is_some() {
        return Ok(found);
    }
    for earlier in head.of_other_extent().await? {
        let Some(read) = earlier.identity().upstream.first() else {
            continue;
        };
        let Some(theirs) = known(Dataset::open(upstream.store(), read).await)? else {
            continue;
        };
        let mut pass = Vec::with_capacity(datasets.len());
        for other in others {
            let id = earlier.id().sibling(other.id().kind());
            pass.extend(known(Dataset::open(other.store(), &id).await)?);
        }
        if pass.len() == others.len() {
            pass.push(earlier);
            let common = Common::Upstream { ours: upstream.clone(), theirs, inputs };
            found.push(Earlier { datasets: pass, common });
        }
    }
    Ok(found)
}

fn known(opened: std::result::Result<Dataset, DatasetError>) -> Result<Option<Dataset>> {
    match opened {
        Ok(dataset) => Ok(Some(dataset)),
        Err(DatasetError::UnknownDataset { .. } | DatasetError::OtherVersion { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Adopts of the earlier datasets what these shards have in common with them. Returns how many were
/// adopted whole.
pub(crate) async fn adopt(datasets: &[Dataset], plan: Plan, earlier: &[Earlier], shards: &[ShardIndex]) -> Result<u32> {
    let (whole, begun) = (AtomicU32::new(0), AtomicU32::new(0));
    stream::iter(shards)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |shard| {
            let counters = (&whole, &begun);
            async move {
                match adopt_shard(datasets, plan, earlier, *shard).await? {
                    Fit::Whole => counters.0.fetch_add(1, Ordering::Relaxed),
                    Fit::Beginning(_) => counters.1.fetch_add(1, Ordering::Relaxed),
                    Fit::Nothing => 0,
                };
                Ok::<_, crate::StageError>(())
            }
        })
        .await?;
    for earlier in earlier {
        adopt_rounds(datasets, earlier).await?;
    }
    let (whole, begun) = (whole.into_inner(), begun.into_inner());
    if whole + begun > 0 {
        tracing::info!(whole, begun, "shards that an earlier dataset has are adopted");
    }
    Ok(whole)
}

async fn adopt_shard(datasets: &[Dataset], plan: Plan, earlier: &[Earlier], shard: ShardIndex) -> Result<Fit> {
    let mut longest: Option<(&Earlier, u64)> = None;
    for earlier in earlier {
        match earlier.fit(plan, shard).await? {
            Fit::Whole => {
                // The last one's commit counts, so it comes last.
                for (ours, theirs) in datasets.iter().zip(&earlier.datasets) {
                    ours.adopt(theirs, shard).await?;
                }
                return Ok(Fit::Whole);
            }
            Fit::Beginning(inputs) if longest.is_none_or(|(_, known)| known < inputs) => {
                longest = Some((earlier, inputs));
            }
            Fit::Beginning(_) | Fit::Nothing => {}
        }
    }
    let Some((earlier, inputs)) = longest else {
        return Ok(Fit::Nothing);
    };
    let Some(head) = earlier.head_commit(shard).await? else {
        return Ok(Fit::Nothing);
    };
    for (ours, theirs) in datasets.iter().zip(&earlier.datasets) {
        ours.adopt_beginning(theirs, shard, inputs, &head.attempt).await?;
    }
    Ok(Fit::Beginning(inputs))
}

/// Rounds of retries of adopted shards; one listing where there are none.
async fn adopt_rounds(datasets: &[Dataset], earlier: &Earlier) -> Result<()> {
    let Some(head) = earlier.datasets.last() else {
        return Ok(());
    };
    for shard in head.retries().await?.into_keys() {
        for (ours, theirs) in datasets.iter().zip(&earlier.datasets) {
            ours.adopt_rounds(theirs, shard).await?;
        }
    }
    Ok(())
}

impl Earlier {
    async fn head_commit(&self, shard: ShardIndex) -> Result<Option<Commit>> {
        let Some(head) = self.datasets.last() else {
            return Ok(None);
        };
        Ok(parts(head, shard).await?.into_iter().next())
    }

    /// What of a shard that has these inputs here is there.
    async fn fit(&self, plan: Plan, shard: ShardIndex) -> Result<Fit> {
        let Some(head) = self.datasets.last() else {
            return Ok(Fit::Nothing);
        };
        let made = parts(head, shard).await?;
        let Some(first) = made.first() else {
            return Ok(Fit::Nothing);
        };
        let first_pass = first.rows + first.quarantined;
        match &self.common {
            Common::First(earlier) => {
                let (here, there) = (plan.range(shard), earlier.range(shard));
                Ok(match there.end.cmp(&here.end) {
                    _ if here.start != there.start => Fit::Nothing,
                    std::cmp::Ordering::Equal => Fit::Whole,
                    std::cmp::Ordering::Less if first_pass == there.end - there.start => Fit::Beginning(first_pass),
                    _ => Fit::Nothing,
                })
            }
            Common::Upstream { ours, theirs, inputs } => {
                let (here, there) = (parts(ours, shard).await?, parts(theirs, shard).await?);
                let rows = |parts: &[Commit]| parts.iter().map(|part| part.rows).sum::<u64>();
                let left = made.last().map_or(0, |part| part.quarantined);
                let all = rows(&there) * u64::from(*inputs);
                let digests = |parts: &[Commit]| parts.iter().map(|part| part.digest).collect::<Vec<_>>();
                if !there.is_empty() && digests(&here) == digests(&there) && rows(&made) + left == all {
                    return Ok(Fit::Whole);
                }
                let Some(upstream) = there.first() else {
                    return Ok(Fit::Nothing);
                };
                let same = upstream.rows * u64::from(*inputs) == first_pass
                    && ours.identity().differs_in_extent_only(theirs.identity())
                    && begins_with(ours, &here, theirs, upstream).await?;
                Ok(if same { Fit::Beginning(first_pass) } else { Fit::Nothing })
            }
        }
    }
}

/// The records of a shard, none if it is not committed.
async fn parts(dataset: &Dataset, shard: ShardIndex) -> Result<Vec<Commit>> {
    match dataset.parts(shard).await {
        Ok(parts) => Ok(parts),
        Err(DatasetError::NotCommitted { .. } | DatasetError::NoSuchShard { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the first samples of our shard are those that theirs was committed with.
async fn begins_with(ours: &Dataset, here: &[Commit], theirs: &Dataset, first: &Commit) -> Result<bool> {
    let wanted = samples(theirs, first).await?;
    let mut found = Vec::new();
    for part in here {
        if found.len() >= wanted.len() {
            break;
        }
        found.extend(samples(ours, part).await?);
    }
    Ok(found.starts_with(&wanted))
}

async fn samples(dataset: &Dataset, part: &Commit) -> Result<Vec<String>> {
    let mut batches = dataset.stream_part(part, Columns::Only(&["sample_id"])).await?;
    let mut found = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let column = batch.column(0).as_any().downcast_ref::<StringArray>();
        found.extend(column.into_iter().flat_map(|ids| ids.iter().flatten().map(str::to_owned)));
    }
    Ok(found)
}
