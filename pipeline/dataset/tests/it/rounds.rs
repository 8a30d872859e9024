//! Samples made in a later pass: rows beside a committed shard.

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use glass_dataset::gc::{self, Clock, Kind};
use glass_dataset::{Columns, Dataset, Outcome, Standing, Store, WrittenShard};
use glass_schemas::dataset::{MaskRow, QuarantineRow, Row};
use glass_schemas::ids::{SampleId, ShardIndex};

use crate::support::{batch, dataset, local, memory, quarantined, rows, sample};

const SHARD: ShardIndex = ShardIndex(0);

async fn written(dataset: &Dataset, rows: &[MaskRow], left: &[QuarantineRow]) -> WrittenShard {
    let mut writer = dataset.shard_writer(SHARD, MaskRow::schema()).unwrap();
    writer.write(batch(rows)).await.unwrap();
    writer.finish(left).await.unwrap()
}

/// Two rows and two failures, then a round that made one of them.
async fn retried(store: &Store) -> Dataset {
    let dataset = dataset(store, 1).await;
    let all = rows(3, 0.0);
    let first = written(&dataset, &all[..2], &[quarantined("a"), quarantined("b")]).await;
    first.commit().await.unwrap();
    let again = QuarantineRow { attempt: 2, ..quarantined("b") };
    let round = written(&dataset, &all[2..], &[again]).await;
    assert_eq!(round.commit_retry(1).await.unwrap(), Outcome::Committed);
    dataset
}

async fn samples(dataset: &Dataset, columns: Columns<'_>) -> Vec<SampleId> {
    let stream = dataset.stream_shard(SHARD, columns).await.unwrap();
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    let column = |batch: &arrow::array::RecordBatch| {
        let ids = batch.column_by_name("sample_id").unwrap().clone();
        let ids = ids.as_any().downcast_ref::<arrow::array::StringArray>().unwrap().clone();
        ids.iter().map(|id| id.unwrap().parse().unwrap()).collect::<Vec<SampleId>>()
    };
    batches.iter().flat_map(column).collect()
}

#[tokio::test]
async fn a_shard_is_its_commit_and_its_rounds_and_the_last_ones_quarantine() {
    let store = memory();
    let dataset = retried(&store).await;
    let expected = [sample(0), sample(1), sample(2)];
    assert_eq!(samples(&dataset, Columns::All).await, expected);
    assert_eq!(samples(&dataset, Columns::Only(&["sample_id"])).await, expected);
    let left = dataset.quarantine(SHARD).await.unwrap();
    assert_eq!(left.iter().map(|row| (row.item.as_str(), row.attempt)).collect::<Vec<_>>(), [("b", 2)]);
    let Standing { rows, quarantined, rounds, .. } = dataset.standing().await.unwrap();
    assert_eq!((rows, quarantined, rounds), (3, 1, 1));
    dataset.verify_shard(SHARD).await.unwrap();
}

#[tokio::test]
async fn a_round_has_one_winner() {
    let store = memory();
    let dataset = retried(&store).await;
    let all = rows(6, 0.0);
    let (one, other) = (written(&dataset, &all[3..4], &[]).await, written(&dataset, &all[4..5], &[]).await);
    assert_eq!(one.commit_retry(2).await.unwrap(), Outcome::Committed);
    assert_eq!(other.commit_retry(2).await.unwrap(), Outcome::Lost);
    assert_eq!(samples(&dataset, Columns::All).await, [0, 1, 2, 3].map(sample));
    // The loser's objects are gone: two parts before, one round more.
    assert_eq!(store.list_keys(&format!("{}/data", dataset.id().path())).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_damaged_round_is_found_as_a_damaged_shard_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder);
    let dataset = retried(&store).await;
    let round = dataset.parts(SHARD).await.unwrap().pop().unwrap();
    let path = folder.path().join(dataset.id().path()).join(&round.data_key);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    dataset.verify_shard(SHARD).await.unwrap_err();
    let stream = dataset.stream_shard(SHARD, Columns::All).await.unwrap();
    stream.try_collect::<Vec<_>>().await.unwrap_err();
}

#[tokio::test]
async fn objects_of_rounds_are_no_rubbish_and_those_of_lost_ones_are() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder);
    let dataset = retried(&store).await;
    drop(written(&dataset, &rows(4, 0.0)[3..], &[quarantined("b")]).await);
    let old = SystemTime::now() - Duration::from_secs(7200);
    for kind in ["data", "quarantine"] {
        let folder = folder.path().join(dataset.id().path()).join(kind);
        for file in std::fs::read_dir(folder).unwrap() {
            std::fs::File::open(file.unwrap().path()).unwrap().set_modified(old).unwrap();
        }
    }
    let found = gc::find(&dataset, gc::MIN_GRACE, Clock::Here).await.unwrap();
    assert_eq!(found.iter().map(|rubbish| rubbish.kind).collect::<Vec<_>>(), [Kind::LostAttempt; 2]);
    for rubbish in &found {
        gc::remove(&store, rubbish).await.unwrap();
    }
    dataset.verify_shard(SHARD).await.unwrap();
    assert_eq!(dataset.quarantine(SHARD).await.unwrap().len(), 1);
}
