//! What is left to make of a shard that is committed: failed samples that are tried again, and
//! samples whose inputs came after the commit.
//!
//! The rows become the shard's next round (see `glass_dataset`'s rounds). A stage with several
//! datasets commits the round of the last one last, as it does with shards; a process that dies in
//! between leaves a round that the others have and the last has not. The next pass then makes just
//! the samples of that round, whatever it was asked for, so that the datasets agree.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, StringArray};
use futures::TryStreamExt;
use glass_dataset::{Columns, Dataset, DatasetError};
use glass_schemas::dataset::QuarantineRow;
use glass_schemas::ids::{SampleId, ShardIndex};
use glass_schemas::manifest::Commit;

use crate::error::Result;
use crate::failure::Failure;
use crate::job::{Failed, Loaded, Source};

/// The samples of one shard that a pass makes again, and the round they become.
#[derive(Debug)]
pub(crate) struct Again {
    round: u32,
    before: Vec<QuarantineRow>,
    wanted: Wanted,
    delivered: Mutex<HashSet<String>>,
}

#[derive(Debug)]
enum Wanted {
    /// These failed ones, by name, and where inputs were added those that are in neither table.
    Left { failed: HashSet<String>, present: Option<HashSet<SampleId>> },
    /// What a round that was not finished holds.
    Unfinished { rows: HashSet<SampleId>, failed: HashSet<String> },
}

/// Whether a round is new or was begun by a process that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// The samples are this pass's choice.
    New(u32),
    /// The samples are those of a round that other datasets have already.
    Begun(u32),
}

impl Again {
    /// What is left to do of a shard; `None` if it is nothing or the shard is not committed.
    pub(crate) async fn of_shard<S: Source>(
        datasets: &[Dataset],
        source: &S,
        shard: ShardIndex,
        failed: &Failed,
    ) -> Result<Option<Self>> {
        let Some((head, others)) = datasets.split_last() else {
            return Ok(None);
        };
        let parts = match head.parts(shard).await {
            Ok(parts) => parts,
            Err(DatasetError::NotCommitted { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let before = head.quarantine_of(parts.last()).await?;
        let wanted = match unfinished(others, shard, parts.len(), &before).await? {
            Some(wanted) => wanted,
            None => {
                let rows: u64 = parts.iter().map(|part| part.rows).sum();
                let known = rows + before.len() as u64;
                let grown = source.inputs(shard).await?.is_some_and(|inputs| inputs > known);
                let chosen = before.iter().filter(|row| failed.takes(row));
                Wanted::Left {
                    failed: chosen.map(|row| row.item.clone()).collect(),
                    present: match grown {
                        true => Some(samples(head, &parts).await?),
                        false => None,
                    },
                }
            }
        };
        if let Wanted::Left { failed, present: None } = &wanted
            && failed.is_empty()
        {
            return Ok(None);
        }
        Ok(Some(Self {
            round: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            before,
            wanted,
            delivered: Mutex::default(),
        }))
    }

    /// Whether this input is made; one that is counts as tried from here on.
    pub(crate) fn takes<S: Source>(&self, source: &S, input: &Loaded<S::Item>) -> bool {
        let (name, sample) = match input {
            Ok(item) => {
                let (name, sample) = source.name(item);
                (name, Some(sample))
            }
            Err(failure) => (failure.item.clone(), failure.sample_id),
        };
        let takes = match &self.wanted {
            Wanted::Unfinished { rows, failed } => {
                failed.contains(&name) || sample.is_some_and(|sample| rows.contains(&sample))
            }
            Wanted::Left { failed, present } => failed.contains(&name) || self.is_new(present.as_ref(), &name, sample),
        };
        if takes {
            let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
            delivered.insert(name);
        }
        takes
    }

    /// Whether an input came after the shard was committed: there is neither a row nor a failure.
    fn is_new(&self, present: Option<&HashSet<SampleId>>, name: &str, sample: Option<SampleId>) -> bool {
        let Some(present) = present else {
            return false;
        };
        let failed = self.before.iter().any(|row| row.item == name);
        !failed && !sample.is_some_and(|sample| present.contains(&sample))
    }

    /// The round that the rows become.
    pub(crate) fn round(&self) -> Round {
        match self.wanted {
            Wanted::Left { .. } => Round::New(self.round),
            Wanted::Unfinished { .. } => Round::Begun(self.round),
        }
    }

    /// The row of a failure: tried once more than before.
    pub(crate) fn failed(&self, failure: Failure, stage: &str, shard: ShardIndex) -> QuarantineRow {
        let tried = self.before.iter().find(|row| row.item == failure.item);
        failure.into_row(stage, shard, tried.map_or(1, |row| row.attempt + 1))
    }

    /// Everything in quarantine after the round: what was not tried, and what failed.
    pub(crate) fn quarantine(&self, failed: Vec<QuarantineRow>) -> Vec<QuarantineRow> {
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.before.iter().filter(|row| !delivered.contains(&row.item));
        left.cloned().chain(failed).collect()
    }
}

/// The samples of a round that another dataset of the pass has beyond the head's parts.
async fn unfinished(
    others: &[Dataset],
    shard: ShardIndex,
    parts: usize,
    before: &[QuarantineRow],
) -> Result<Option<Wanted>> {
    for other in others {
        let others_parts = other.parts(shard).await?;
        let Some(begun) = others_parts.get(parts) else {
            continue;
        };
        let tried_before =
            |row: &QuarantineRow| before.iter().any(|old| old.item == row.item && old.attempt == row.attempt);
        let left = other.quarantine_of(Some(begun)).await?;
        let failed = left.into_iter().filter(|row| !tried_before(row)).map(|row| row.item);
        return Ok(Some(Wanted::Unfinished {
            failed: failed.collect(),
            rows: samples(other, std::slice::from_ref(begun)).await?,
        }));
    }
    Ok(None)
}

/// The samples that have a row in these parts.
async fn samples(dataset: &Dataset, parts: &[Commit]) -> Result<HashSet<SampleId>> {
    let mut found = HashSet::new();
    for part in parts {
        let mut batches = dataset.stream_part(part, Columns::Only(&["sample_id"])).await?;
        while let Some(batch) = batches.try_next().await? {
            let column = batch.column(0).as_any().downcast_ref::<StringArray>();
            let ids = column.into_iter().flat_map(|ids| ids.iter().flatten());
            found.extend(ids.filter_map(|id| id.parse::<SampleId>().ok()));
        }
    }
    Ok(found)
}
