//! The same suite on real servers, where `ci/checks/stores` started some.
//!
//! Each variable holds the URI of an empty place; endpoint and credentials come from the clouds'
//! own variables. A test whose variable is not set does nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use glass_dataset::gc::{self, Clock, Kind, Removed};
use glass_dataset::{PlainHttp, Store, StoreOptions};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;

use crate::conformance::conforms;
use crate::support::{batch, dataset, incompressible, rows};

async fn server(variable: &str) {
    let Ok(uri) = std::env::var(variable) else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let options = StoreOptions { plain_http: PlainHttp::Allow, ..StoreOptions::default() };
    let store = Store::open(&format!("{uri}/{now}"), &options).unwrap();
    conforms(&store).await;
    println!("{uri} conforms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_s3_server_conforms() {
    server("GLASS_TEST_S3").await;
}

/// Uploads that a process began and did not live to complete: found and aborted, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_uploads_of_a_real_s3_server_go() {
    let Ok(uri) = std::env::var("GLASS_TEST_S3") else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let options = StoreOptions { plain_http: PlainHttp::Allow, ..StoreOptions::default() };
    let store = Store::open(&format!("{uri}/uploads/{}", now.as_nanos()), &options).unwrap();
    let dataset = dataset(&store, 3).await;
    // A row group and more: the upload is begun, and nobody is there to abort it.
    for shard in 0..2 {
        let mut writer = dataset.shard_writer(ShardIndex(shard), MaskRow::schema()).unwrap();
        for part in 0..80_u16 {
            let mut row = rows(1, f32::from(part));
            row[0].mask.bytes = incompressible(1 << 20, u64::from(part));
            writer.write(batch(&row)).await.unwrap();
        }
        std::mem::forget(writer);
    }
    let begun = store.unfinished_uploads(&dataset.id().path()).await.unwrap();
    assert_eq!(begun.len(), 2, "{begun:?}");
    assert!(begun.iter().all(|upload| upload.key.starts_with(&dataset.id().path())), "{begun:?}");

    let seconds = i64::try_from(now.as_secs()).unwrap();
    let young = gc::find(&dataset, gc::MIN_GRACE, Clock::At(seconds + 20 * 3600)).await.unwrap();
    assert!(young.iter().all(|found| found.kind != Kind::UnfinishedUpload), "{young:?}");
    let old = gc::find(&dataset, gc::MIN_GRACE, Clock::At(seconds + 30 * 3600)).await.unwrap();
    let uploads: Vec<_> = old.iter().filter(|found| found.kind == Kind::UnfinishedUpload).collect();
    assert_eq!(uploads.len(), 2, "{old:?}");
    for found in uploads {
        assert_eq!(gc::remove(&store, found).await.unwrap(), Removed::Gone);
    }
    assert!(store.unfinished_uploads(&dataset.id().path()).await.unwrap().is_empty());
    // The store's own clock, asked for by writing.
    assert!(gc::find(&dataset, gc::MIN_GRACE, Clock::Store).await.unwrap().is_empty());
    println!("{uri} unfinished uploads go");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_azure_server_conforms() {
    server("GLASS_TEST_AZURE").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_own_test_server_conforms() {
    server("GLASS_TEST_GOOGLE").await;
}
