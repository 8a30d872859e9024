//! What readers refuse.

use bytes::Bytes;
use glass_dataset::{Columns, Dataset, DatasetError};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;

use crate::support::{batch, dataset, identity, local, memory, rows};

const SHARD: ShardIndex = ShardIndex(0);

#[tokio::test]
async fn the_same_batches_give_the_same_bytes() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let dataset = dataset(&memory(), 1).await;
        let batches = vec![batch(&rows(30, 0.0))];
        dataset.write_shard(SHARD, MaskRow::schema(), batches, &[]).await.unwrap();
        digests.push(dataset.commit(SHARD).await.unwrap().digest);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_changed_byte_is_found_by_a_full_read() {
    let store = memory();
    let dataset = dataset(&store, 1).await;
    let batches = vec![batch(&rows(250, 0.0))];
    dataset.write_shard(SHARD, MaskRow::schema(), batches, &[]).await.unwrap();
    let commit = dataset.commit(SHARD).await.unwrap();
    let key = format!("{}/{}", dataset.id().path(), commit.data_key);
    let sound = store.get(&key).await.unwrap();
    for position in [0, 5, sound.len() / 3, sound.len() / 2, sound.len() - 100] {
        let mut damaged = sound.to_vec();
        damaged[position] ^= 0x40;
        store.put(&key, Bytes::from(damaged)).await.unwrap();
        assert!(dataset.read_shard(SHARD, Columns::All).await.is_err(), "byte {position}");
        let error = dataset.verify_shard(SHARD).await.unwrap_err();
        assert!(matches!(error, DatasetError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_truncated_object_is_named_with_both_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder);
    let dataset = dataset(&store, 1).await;
    let batches = vec![batch(&rows(50, 0.0))];
    dataset.write_shard(SHARD, MaskRow::schema(), batches, &[]).await.unwrap();
    let commit = dataset.commit(SHARD).await.unwrap();
    let key = format!("{}/{}", dataset.id().path(), commit.data_key);
    let sound = store.get(&key).await.unwrap();
    store.put(&key, sound.slice(..sound.len() / 2)).await.unwrap();
    for columns in [Columns::All, Columns::Only(&["agreement"])] {
        let error = dataset.read_shard(SHARD, columns).await.unwrap_err();
        assert!(matches!(error, DatasetError::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_column_is_named() {
    let dataset = dataset(&memory(), 1).await;
    let batches = vec![batch(&rows(1, 0.0))];
    dataset.write_shard(SHARD, MaskRow::schema(), batches, &[]).await.unwrap();
    let error = dataset.read_shard(SHARD, Columns::Only(&["masks"])).await.unwrap_err();
    assert!(error.to_string().contains("no column `masks`"), "{error}");
}

#[tokio::test]
async fn an_unknown_dataset_is_refused_with_its_name() {
    let error = Dataset::open(&memory(), &identity("a", 1).id).await.unwrap_err();
    assert!(matches!(error, DatasetError::UnknownDataset { .. }), "{error}");
    assert!(error.is_user_input());
    assert!(error.to_string().contains(&identity("a", 1).id.to_string()));
}

#[tokio::test]
async fn another_schema_version_is_refused_even_if_the_document_changed() {
    let store = memory();
    let id = identity("a", 1).id;
    let spec = Bytes::from_static(b"{\"schema_version\": 99, \"brand\": \"new\"}");
    store.put(&format!("{}/SPEC.json", id.path()), spec).await.unwrap();
    let error = Dataset::open(&store, &id).await.unwrap_err();
    assert!(matches!(error, DatasetError::OtherVersion { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn a_spec_that_differs_from_its_name_is_refused() {
    let store = memory();
    let ours = identity("a", 1);
    let mut other = ours.clone();
    other.run_seed += 1;
    let key = format!("{}/SPEC.json", ours.id.path());
    store.put(&key, serde_json::to_vec(&other).unwrap().into()).await.unwrap();
    let error = Dataset::create(&store, &ours).await.unwrap_err();
    assert!(matches!(error, DatasetError::OtherIdentity { .. }), "{error}");
}

#[tokio::test]
async fn strangers_among_the_commits_are_not_shards() {
    let store = memory();
    let dataset = dataset(&store, 2).await;
    for name in ["readme.txt", "00000.json.tmp", "x.json", "00007.json", "-1.json"] {
        let key = format!("{}/commits/{name}", dataset.id().path());
        store.put(&key, Bytes::from_static(b"{}")).await.unwrap();
    }
    assert!(dataset.committed().await.unwrap().is_empty());
    assert_eq!(dataset.progress().await.unwrap().committed, 0);
}
