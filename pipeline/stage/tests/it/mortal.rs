//! A store whose process dies: from one request on nothing arrives any more.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

/// What became of the request at which the process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    Arrived,
    Lost,
}

#[derive(Clone, Debug)]
pub struct Mortal {
    pub inner: Arc<InMemory>,
    died: Arc<tokio::sync::Notify>,
    requests: Arc<AtomicU64>,
    dies_at: u64,
    last: Last,
}

impl Mortal {
    pub fn new(inner: Arc<InMemory>, dies_at: u64, last: Last) -> Self {
        Self { inner, died: Arc::default(), requests: Arc::default(), dies_at, last }
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Returns when the process has died; what it does afterwards does not count.
    pub async fn death(&self) {
        self.died.notified().await;
    }

    /// Whether the process is there to make the request, and to see its answer.
    fn lives(&self) -> (bool, bool) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if number >= self.dies_at {
            self.died.notify_one();
        }
        let arrives = number < self.dies_at || (number == self.dies_at && self.last == Last::Arrived);
        (arrives, number < self.dies_at)
    }

    async fn pass<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        match self.lives() {
            (true, true) => request.await,
            (true, false) => {
                let _ = request.await;
                std::future::pending().await
            }
            (false, _) => std::future::pending().await,
        }
    }
}

impl fmt::Display for Mortal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mortal")
    }
}

#[async_trait]
impl ObjectStore for Mortal {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.pass(self.inner.put_opts(path, payload, options)).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.pass(self.inner.put_multipart_opts(path, options)).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.pass(self.inner.get_opts(path, options)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.lives() {
            (true, true) => self.inner.delete_stream(paths),
            _ => stream::pending().boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.lives() {
            (true, true) => self.inner.list(prefix),
            _ => stream::pending().boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.pass(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.pass(self.inner.copy_opts(from, to, options)).await
    }
}
