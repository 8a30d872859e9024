//! The same suite on a real S3 server.
//!
//! `GLASS_TEST_S3=http://127.0.0.1:18333 GLASS_TEST_S3_BUCKET=glass AWS_ACCESS_KEY_ID=…
//! AWS_SECRET_ACCESS_KEY=… cargo test -p glass-dataset s3`

use std::time::{SystemTime, UNIX_EPOCH};

use glass_dataset::{PlainHttp, Store, StoreOptions};

use crate::conformance::conforms;

fn options(endpoint: String) -> StoreOptions {
    StoreOptions {
        endpoint: Some(endpoint),
        plain_http: PlainHttp::Allow,
        ..StoreOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_s3_server_conforms() {
    let Ok(endpoint) = std::env::var("GLASS_TEST_S3") else {
        return;
    };
    let bucket = std::env::var("GLASS_TEST_S3_BUCKET").unwrap_or_else(|_| "glass".to_owned());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let uri = format!("s3://{bucket}/conformance-{now}");
    let store = Store::open(&uri, &options(endpoint)).unwrap();
    conforms(&store).await;
}
