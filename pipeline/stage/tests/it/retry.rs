//! Passing errors of the store or the source cost time, never samples.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use glass_schemas::plan::Plan;
use glass_stage::{Context, Ending, Options};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use crate::toy::{Numbers, check_complete, datasets, job, numbers, quick, shared};

fn plan() -> Plan {
    Plan::new(190, 40)
}

fn options() -> Options {
    Options { backoff: Duration::from_millis(1), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_breaks_off_is_read_again_without_repeating_a_sample() {
    let store = shared(Arc::new(InMemory::new()));
    let source = Numbers { breaks: AtomicU32::new(4), ..numbers(plan()) };
    let job = job(datasets(&store, plan().shards()).await, source, quick(), options());
    let summary = glass_stage::run(job, &Context::detached("toy")).await.unwrap();
    assert_eq!(summary.ending, Ending::Complete);
    check_complete(&store, plan()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_upload_fails_is_made_again() {
    let flaky = Flaky { inner: Arc::new(InMemory::new()), every: 3, puts: Arc::default() };
    let store = shared(Arc::new(flaky.clone()));
    let job = job(datasets(&store, plan().shards()).await, numbers(plan()), quick(), options());
    let summary = glass_stage::run(job, &Context::detached("toy")).await.unwrap();
    assert_eq!(summary.ending, Ending::Complete);
    assert_eq!(summary.shards_committed, plan().shards());
    check_complete(&shared(flaky.inner), plan()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_ends_the_run_with_its_error() {
    let flaky = Flaky { inner: Arc::new(InMemory::new()), every: 1, puts: Arc::default() };
    let made = datasets(&shared(flaky.inner.clone()), plan().shards()).await;
    let store = shared(Arc::new(flaky));
    let mut broken = Vec::new();
    for dataset in made {
        broken.push(glass_dataset::Dataset::open(&store, dataset.id()).await.unwrap());
    }
    let job = job(broken, numbers(plan()), quick(), options());
    let error = glass_stage::run(job, &Context::detached("toy")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_the_start_makes_nothing() {
    let store = shared(Arc::new(InMemory::new()));
    let context = Context::detached("toy");
    context.stop.set();
    let job = job(datasets(&store, plan().shards()).await, numbers(plan()), quick(), options());
    let summary = glass_stage::run(job, &context).await.unwrap();
    assert_eq!((summary.ending, summary.rows), (Ending::Interrupted, 0));
}

/// Every so many puts of data fail.
#[derive(Clone, Debug)]
struct Flaky {
    inner: Arc<InMemory>,
    every: u32,
    puts: Arc<AtomicU32>,
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let data = path.as_ref().contains("/data/");
        if data && self.puts.fetch_add(1, Ordering::SeqCst).is_multiple_of(self.every) {
            return Err(object_store::Error::Generic { store: "flaky", source: "503".into() });
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
