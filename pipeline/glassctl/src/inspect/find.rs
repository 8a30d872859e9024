//! Where a sample is.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use glass_dataset::{Columns, Dataset};
use glass_schemas::dataset::{QuarantineRow, Row};
use glass_schemas::ids::{DatasetKind, SampleId, ShardIndex};

use crate::verify::table::texts;

/// One row of a dataset.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dataset: Dataset,
    pub(crate) shard: ShardIndex,
    /// Rows before it in its shard.
    pub(crate) row: usize,
}

/// The sample itself, the real image it was drawn from, and what was drawn from it.
pub(super) async fn family(datasets: &[Dataset], id: SampleId) -> anyhow::Result<BTreeSet<SampleId>> {
    let mut family = BTreeSet::from([id]);
    for dataset in datasets.iter().filter(|dataset| dataset.id().kind() == DatasetKind::Generations) {
        for shard in dataset.committed().await? {
            let [drawn, sources] = ids(dataset, shard, ["sample_id", "source_id"]).await?;
            for (drawn, source) in drawn.into_iter().zip(sources) {
                if drawn == id || source == id {
                    family.extend([drawn, source]);
                }
            }
        }
    }
    Ok(family)
}

/// The rows of these samples in a dataset.
pub(crate) async fn places(dataset: &Dataset, family: &BTreeSet<SampleId>) -> anyhow::Result<Vec<Place>> {
    let mut places = Vec::new();
    for shard in dataset.committed().await? {
        let [samples] = ids(dataset, shard, ["sample_id"]).await?;
        let rows = samples.iter().enumerate().filter(|(_, sample)| family.contains(sample));
        places.extend(rows.map(|(row, _)| Place { dataset: dataset.clone(), shard, row }));
    }
    Ok(places)
}

/// The quarantine rows of these samples.
pub(super) async fn failures(dataset: &Dataset, family: &BTreeSet<SampleId>) -> anyhow::Result<Vec<QuarantineRow>> {
    let mut failures = Vec::new();
    for shard in dataset.committed().await? {
        let rows = dataset.quarantine(shard).await?.into_iter();
        failures.extend(rows.filter(|row| row.sample_id.is_some_and(|id| family.contains(&id))));
    }
    Ok(failures)
}

impl Place {
    /// The row.
    pub(super) async fn read<R: Row>(&self) -> anyhow::Result<R> {
        let row = R::decode(&self.batch().await?)?.pop();
        row.ok_or_else(|| anyhow::anyhow!("row {} cannot be read", self.row))
    }

    /// The row as a table of one.
    pub(crate) async fn batch(&self) -> anyhow::Result<RecordBatch> {
        let mut batches = self.dataset.stream_shard(self.shard, Columns::All).await?;
        let mut before = 0;
        while let Some(batch) = batches.try_next().await? {
            let rows = batch.num_rows();
            if self.row < before + rows {
                return Ok(batch.slice(self.row - before, 1));
            }
            before += rows;
        }
        anyhow::bail!("shard {} of `{}` ends before row {}", self.shard, self.dataset.id(), self.row)
    }
}

/// Sample ids of a shard.
async fn ids<const N: usize>(
    dataset: &Dataset,
    shard: ShardIndex,
    columns: [&str; N],
) -> anyhow::Result<[Vec<SampleId>; N]> {
    let mut found = [const { Vec::new() }; N];
    let mut batches = dataset.stream_shard(shard, Columns::Only(&columns)).await?;
    while let Some(batch) = batches.try_next().await? {
        for (ids, column) in found.iter_mut().zip(columns) {
            for text in texts(std::slice::from_ref(&batch), column)?.into_iter().flatten() {
                ids.push(text.parse()?);
            }
        }
    }
    Ok(found)
}
