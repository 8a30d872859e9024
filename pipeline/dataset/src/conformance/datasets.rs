//! Promises about whole datasets, which follow from those about objects if nothing was forgotten.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use glass_schemas::dataset::{QuarantineRow, Row};
use glass_schemas::ids::{DatasetKind, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};

use super::{Broken, Verdict, expect};
use crate::commit::Outcome;
use crate::dataset::Dataset;
use crate::read::Columns;
use crate::store::Store;

const RACERS: usize = 8;
const SHARDS: u32 = 3;
const ROWS: u32 = 250;

/// Workers that all do the same shard, every second one with other bytes.
pub(super) async fn racing_workers(place: &Store) -> Verdict {
    let dataset = Dataset::create(place, &identity("race", 1)).await?;
    let workers = (0..RACERS).map(|racer| {
        let dataset = dataset.clone();
        tokio::spawn(async move { write(&dataset, ShardIndex(0), 5, (racer % 2) as u32).await })
    });
    let mut outcomes = Vec::new();
    for joined in join_all(workers).await {
        outcomes.push(joined.map_err(|e| Broken::Answer(e.to_string()))??);
    }
    let count = |outcome| outcomes.iter().filter(|found| **found == outcome).count();
    let found = [Outcome::Committed, Outcome::AlreadySame, Outcome::Lost].map(count);
    let expected = [1, RACERS / 2 - 1, RACERS / 2];
    expect(found == expected, || {
        format!("of {RACERS} workers {found:?} committed, found the same and lost, not {expected:?}")
    })?;
    let data = place.list_keys(&format!("{}/data", dataset.id().path())).await?;
    expect(data.len() == 1, || format!("{} data objects of one shard are left", data.len()))?;
    dataset.verify_shard(ShardIndex(0)).await?;
    Ok(())
}

/// Shards in any order, a manifest at the end, rows as they were written.
pub(super) async fn life(place: &Store) -> Verdict {
    let identity = identity("life", SHARDS);
    let dataset = Dataset::create(place, &identity).await?;
    for shard in [2, 0] {
        write(&dataset, ShardIndex(shard), ROWS, shard).await?;
    }
    let committed = dataset.committed().await?;
    let early = dataset.finish().await?;
    expect(committed == BTreeSet::from([ShardIndex(0), ShardIndex(2)]) && early.is_none(), || {
        format!("two of three shards were committed, {} are listed", committed.len())
    })?;
    write(&dataset, ShardIndex(1), 0, 1).await?;
    let manifest = dataset.finish().await?;
    let rows = manifest.map(|manifest| manifest.rows);
    expect(rows == Some(u64::from(2 * ROWS)), || format!("the manifest counts {rows:?} rows"))?;
    let again = Dataset::open(place, &identity.id).await?;
    for shard in 0..SHARDS {
        again.verify_shard(ShardIndex(shard)).await?;
    }
    let mut read = Vec::new();
    for batch in again.read_shard(ShardIndex(2), Columns::All).await? {
        read.extend(QuarantineRow::decode(&batch).map_err(crate::DatasetError::from)?);
    }
    expect(read == rows_of(ROWS, 2), || format!("{} other rows were read back", read.len()))?;
    let few = again.read_shard(ShardIndex(0), Columns::Only(&["item"])).await?;
    let few: usize = few.iter().map(|batch| batch.num_rows()).sum();
    expect(few == ROWS as usize, || format!("one column of {ROWS} rows has {few}"))
}

async fn write(dataset: &Dataset, shard: ShardIndex, rows: u32, flavour: u32) -> crate::Result<Outcome> {
    let all = rows_of(rows, flavour);
    let mut batches = Vec::new();
    for rows in all.chunks(64) {
        batches.push(QuarantineRow::encode(rows)?);
    }
    dataset.write_shard(shard, QuarantineRow::schema(), batches, &[]).await
}

/// Rows of the smallest table there is; `flavour` makes their bytes different.
fn rows_of(count: u32, flavour: u32) -> Vec<QuarantineRow> {
    let row = |number: u32| QuarantineRow {
        stage: "conformance".to_owned(),
        shard: flavour,
        item: format!("item {number}"),
        sample_id: None,
        error_class: "none".to_owned(),
        attempt: 1,
        message: format!("{}", u64::from(number) * 0x9e37_79b9),
        inputs: String::new(),
    };
    (0..count).map(row).collect()
}

fn identity(name: &str, shards: u32) -> Identity {
    Identity::new(IdentityParts {
        kind: DatasetKind::Masks,
        stage: "conformance".to_owned(),
        run_seed: 0,
        spec: serde_json::json!({ "name": name }),
        upstream: Vec::new(),
        weights: BTreeMap::new(),
        shards,
    })
}
