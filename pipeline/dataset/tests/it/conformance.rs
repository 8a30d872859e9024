//! What every store must do, run against one of each kind.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::join_all;
use glass_dataset::commit::create;
use glass_dataset::{Columns, Created, Dataset, DatasetError, Outcome, Store};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;

use crate::support::{batch, identity, keys, local, memory, quarantined, rows};

const RACERS: usize = 8;

/// Everything, on an empty store.
pub async fn conforms(store: &Store) {
    one_creator_wins(store).await;
    racing_workers_leave_one_shard(store).await;
    a_dataset_goes_through_its_life(store).await;
}

/// Of several creators exactly one is told that it was the one, and its bytes stay.
async fn one_creator_wins(store: &Store) {
    for round in 0..10 {
        let key = format!("races/{round}");
        let racers = (0..RACERS).map(|racer| {
            let (store, key) = (store.clone(), key.clone());
            let bytes = Bytes::from(format!("{racer}").repeat(1000));
            tokio::spawn(async move { (bytes.clone(), create(&store, &key, bytes).await.unwrap()) })
        });
        let answers: Vec<_> = join_all(racers)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let stored = store.get(&key).await.unwrap();
        let mut winners = 0;
        for (bytes, created) in answers {
            match created {
                Created::New => {
                    winners += 1;
                    assert_eq!(bytes, stored);
                }
                Created::Found(found) => assert_eq!(found, stored),
            }
        }
        assert_eq!(winners, 1);
    }
}

/// Workers that all do the same shard, some with other bytes: one record, one data object.
async fn racing_workers_leave_one_shard(store: &Store) {
    let dataset = Dataset::create(store, &identity("race", 1)).await.unwrap();
    let workers = (0..RACERS).map(|racer| {
        let dataset = dataset.clone();
        tokio::spawn(async move {
            let batches = vec![batch(&rows(5, (racer % 2) as f32))];
            let schema = MaskRow::schema();
            dataset
                .write_shard(ShardIndex(0), schema, batches, &[])
                .await
                .unwrap()
        })
    });
    let outcomes: Vec<_> = join_all(workers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let count = |outcome| outcomes.iter().filter(|found| **found == outcome).count();
    assert_eq!(count(Outcome::Committed), 1);
    assert_eq!(count(Outcome::AlreadySame), RACERS / 2 - 1);
    assert_eq!(count(Outcome::Lost), RACERS / 2);
    let prefix = format!("{}/data", dataset.id().path());
    assert_eq!(store.list_keys(&prefix).await.unwrap().len(), 1);
    dataset.verify_shard(ShardIndex(0)).await.unwrap();
}

async fn a_dataset_goes_through_its_life(store: &Store) {
    let identity = identity("life", 3);
    let dataset = Dataset::create(store, &identity).await.unwrap();
    assert!(dataset.committed().await.unwrap().is_empty());
    assert!(dataset.finish().await.unwrap().is_none());
    for shard in [2, 0] {
        let all = rows(250, shard as f32);
        let failed = [quarantined("one.jpg"), quarantined("two.jpg")];
        let batches = all.chunks(64).map(batch).collect();
        let outcome = dataset.write_shard(ShardIndex(shard), MaskRow::schema(), batches, &failed);
        assert_eq!(outcome.await.unwrap(), Outcome::Committed);
    }
    assert_eq!(
        dataset.committed().await.unwrap(),
        BTreeSet::from([ShardIndex(0), ShardIndex(2)])
    );
    assert!(dataset.finish().await.unwrap().is_none());
    assert!(matches!(
        dataset.read_shard(ShardIndex(1), Columns::All).await,
        Err(DatasetError::NotCommitted {
            shard: ShardIndex(1),
            ..
        })
    ));
    dataset
        .write_shard(ShardIndex(1), MaskRow::schema(), Vec::new(), &[])
        .await
        .unwrap();

    let manifest = dataset.finish().await.unwrap().unwrap();
    assert_eq!((manifest.rows, manifest.quarantined), (500, 4));
    assert_eq!(dataset.finish().await.unwrap().unwrap(), manifest);
    let again = Dataset::open(store, &identity.id).await.unwrap();
    assert_eq!(again.manifest().await.unwrap().unwrap(), manifest);
    assert_eq!(again.identity(), &identity);

    let batches = again.read_shard(ShardIndex(2), Columns::All).await.unwrap();
    assert_eq!(
        batches
            .iter()
            .map(|batch| batch.num_rows())
            .collect::<Vec<_>>(),
        [100, 100, 50]
    );
    let read: Vec<MaskRow> = batches
        .iter()
        .flat_map(|b| MaskRow::decode(b).unwrap())
        .collect();
    assert_eq!(read, rows(250, 2.0));
    let few = again
        .read_shard(ShardIndex(0), Columns::Only(&["sample_id", "agreement"]))
        .await
        .unwrap();
    assert_eq!(few[0].num_columns(), 2);
    assert_eq!(few.iter().map(|batch| batch.num_rows()).sum::<usize>(), 250);
    assert_eq!(again.quarantine(ShardIndex(2)).await.unwrap().len(), 2);
    assert_eq!(
        again
            .read_shard(ShardIndex(1), Columns::All)
            .await
            .unwrap()
            .len(),
        0
    );
    let commit = again.commit(ShardIndex(2)).await.unwrap();
    assert_eq!(commit.first_sample, Some(crate::support::sample(0)));
    assert_eq!(commit.last_sample, Some(crate::support::sample(249)));
    for shard in 0..3 {
        again.verify_shard(ShardIndex(shard)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    conforms(&memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_folder_conforms_and_keeps_no_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder);
    conforms(&store).await;
    for key in keys(&store).await {
        let known = [
            "SPEC.json",
            "MANIFEST.json",
            "/data/",
            "/commits/",
            "/quarantine/",
            "races/",
        ];
        assert!(known.iter().any(|part| key.contains(part)), "{key}");
    }
}
