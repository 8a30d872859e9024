//! The same suite on real servers, where `ci/checks/stores` started some.
//!
//! Each variable holds the URI of an empty place; endpoint and credentials come from the clouds'
//! own variables. A test whose variable is not set does nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use glass_dataset::{PlainHttp, Store, StoreOptions};

use crate::conformance::conforms;

async fn server(variable: &str) {
    let Ok(uri) = std::env::var(variable) else {
        return;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let options = StoreOptions {
        plain_http: PlainHttp::Allow,
        ..StoreOptions::default()
    };
    let store = Store::open(&format!("{uri}/{now}"), &options).unwrap();
    conforms(&store).await;
    println!("{uri} conforms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_s3_server_conforms() {
    server("GLASS_TEST_S3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_azure_server_conforms() {
    server("GLASS_TEST_AZURE").await;
}
