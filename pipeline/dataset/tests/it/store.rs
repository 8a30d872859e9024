//! Opening stores, and what the user sees when one cannot be used.

use bytes::Bytes;
use futures::TryStreamExt;
use glass_dataset::{Dataset, DatasetError, Store, StoreOptions};
use glass_schemas::ids::DatasetKind;

use crate::support::{dataset, identity, local};

fn open(uri: &str) -> Result<Store, DatasetError> {
    Store::open(uri, &StoreOptions::default())
}

#[test]
fn a_store_that_makes_no_sense_is_the_users_input() {
    for uri in ["", "gopher://x", "s3://", "file://host/x"] {
        let error = open(uri).unwrap_err();
        assert!(error.is_user_input(), "{uri}: {error}");
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn a_path_and_its_file_uri_are_the_same_store() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("a b/ü");
    let path = open(inside.to_str().unwrap()).unwrap();
    path.put("x/y.txt", Bytes::from_static(b"1")).await.unwrap();
    let uri = url::Url::from_file_path(&inside).unwrap();
    let same = open(uri.as_str()).unwrap();
    assert_eq!(same.get("x/y.txt").await.unwrap(), "1");
    assert!(inside.join("x/y.txt").is_file());
    let entries: Vec<_> = same.list("x").try_collect().await.unwrap();
    assert_eq!((entries[0].key.as_str(), entries[0].bytes), ("x/y.txt", 1));
}

#[tokio::test]
async fn a_path_may_go_up() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("a/b");
    std::fs::create_dir_all(&inside).unwrap();
    let path = open(inside.join("../c").to_str().unwrap()).unwrap();
    path.put("x.txt", Bytes::from_static(b"1")).await.unwrap();
    assert!(folder.path().join("a/c/x.txt").is_file());
}

#[tokio::test]
async fn a_folder_that_does_not_exist_reads_as_empty_and_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let store = open(missing.to_str().unwrap()).unwrap();
    assert!(store.list_keys("masks").await.unwrap().is_empty());
    assert!(Dataset::list(&store, DatasetKind::Masks).await.unwrap().is_empty());
    assert!(store.get_if_there("x").await.unwrap().is_none());
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_file_in_the_way_is_the_users_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let store = open(file.join("below").to_str().unwrap()).unwrap();
    let error = Dataset::create(&store, &identity("a", 1)).await.unwrap_err();
    assert!(error.is_user_input(), "{error:?}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn datasets_of_a_kind_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder);
    let made = dataset(&store, 1).await;
    let listed = Dataset::list(&store, DatasetKind::Masks).await.unwrap();
    assert_eq!(listed, [made.id().clone()]);
    assert!(Dataset::list(&store, DatasetKind::Captions).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_cut_off_while_it_was_written_is_invisible() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(&folder);
    let dataset = dataset(&store, 1).await;
    let commits = folder.path().join(dataset.id().path()).join("commits");
    std::fs::create_dir_all(&commits).unwrap();
    // What the process leaves that dies between writing and linking.
    std::fs::write(commits.join("00000.json#1"), "{\"shard\":").unwrap();
    assert!(dataset.committed().await.unwrap().is_empty());
}
