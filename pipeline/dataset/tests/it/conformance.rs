//! The library's suite on stores that are here, and on one that must be refused.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use glass_dataset::conformance::{Depth, check};
use glass_dataset::{DatasetError, Store, StoreOptions};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::support::{RETRY, keys, local, memory};

/// Both forms hold, and nothing of them is left.
pub async fn conforms(store: &Store) {
    for depth in [Depth::Short, Depth::Full] {
        let report = check(store, depth).await.unwrap();
        assert!(report.conforms(), "{depth:?}: {report:#?}");
    }
    assert_eq!(keys(store).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    conforms(&memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conforms(&local(&folder)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_ignores_the_condition_is_refused_by_both_forms() {
    for depth in [Depth::Short, Depth::Full] {
        let store = Store::custom(Arc::new(Careless::new(Carelessness::Condition)), "careless://", RETRY);
        let report = check(&store, depth).await.unwrap();
        let broken: Vec<_> = report.checks.iter().filter(|check| check.broken.is_some()).collect();
        assert!(!report.conforms());
        assert!(broken.iter().any(|check| check.promise == "an existing object is not created again"), "{broken:?}");
        assert!(broken.iter().any(|check| check.promise == "of racing creators one wins"), "{broken:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lists_late_is_refused() {
    let store = Store::custom(Arc::new(Careless::new(Carelessness::Listing)), "careless://", RETRY);
    let report = check(&store, Depth::Short).await.unwrap();
    let first = report.checks[0].broken.as_deref().unwrap();
    assert!(first.contains("wrote one object, listed []"), "{first}");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_the_users_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let store = Store::open(file.to_str().unwrap(), &StoreOptions::default()).unwrap();
    let error = check(&store, Depth::Short).await.unwrap_err();
    assert!(matches!(error, DatasetError::Denied { .. }), "{error:?}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Carelessness {
    /// A conditional create always writes.
    Condition,
    /// A listing shows nothing.
    Listing,
}

#[derive(Debug)]
struct Careless {
    inner: InMemory,
    how: Carelessness,
}

impl Careless {
    fn new(how: Carelessness) -> Self {
        Self { inner: InMemory::new(), how }
    }
}

impl fmt::Display for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("careless")
    }
}

#[async_trait]
impl ObjectStore for Careless {
    async fn put_opts(&self, path: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if self.how == Carelessness::Condition {
            options.mode = PutMode::Overwrite;
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.how {
            Carelessness::Listing => Box::pin(futures::stream::empty()),
            Carelessness::Condition => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
