//! A store that misbehaves on purpose.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// What happens to one conditional create.
#[derive(Clone, Debug)]
pub enum CreateFault {
    /// It is written, then the connection breaks.
    AnswerLost,
    /// The connection breaks; it is written after that, when a second try is on its way.
    ArrivesLate(Duration),
    /// Nothing is written: 503.
    Unavailable,
    /// Nothing is written and nothing is there, but the answer is "already exists" (S3's 409 for
    /// creators that collide).
    Conflict,
    /// It is written; the client's own retry then meets it and reports "already exists".
    OwnObjectMet,
    /// A rival's bytes arrive just before.
    Rival(Bytes),
    /// A rival's bytes arrive just before, and the connection breaks.
    RivalAndAnswerLost(Bytes),
}

#[derive(Debug, Default)]
pub struct Faults {
    pub creates: VecDeque<CreateFault>,
    /// So many reads fail from now on.
    pub reads: usize,
    /// So many plain puts fail from now on.
    pub puts: usize,
    /// Parts of multipart uploads fail.
    pub parts: bool,
    /// Multipart uploads that were aborted.
    pub aborted: usize,
}

#[derive(Clone, Debug, Default)]
pub struct FaultyStore {
    pub inner: Arc<InMemory>,
    pub faults: Arc<Mutex<Faults>>,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

fn broken(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

fn already(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "409".into() }
}

impl FaultyStore {
    async fn create(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let fault = self.faults.lock().unwrap().creates.pop_front();
        let Some(fault) = fault else {
            return self.inner.put_opts(path, payload, options).await;
        };
        match fault {
            CreateFault::AnswerLost => {
                let _ = self.inner.put_opts(path, payload, options).await;
                Err(broken("connection reset"))
            }
            CreateFault::ArrivesLate(wait) => {
                let (inner, path) = (Arc::clone(&self.inner), path.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    let _ = inner.put_opts(&path, payload, options).await;
                });
                Err(broken("timed out"))
            }
            CreateFault::Unavailable => Err(broken("503")),
            CreateFault::Conflict => Err(already(path)),
            CreateFault::OwnObjectMet => {
                let _ = self.inner.put_opts(path, payload, options).await;
                Err(already(path))
            }
            CreateFault::Rival(bytes) => {
                self.inner.put(path, bytes.into()).await?;
                self.inner.put_opts(path, payload, options).await
            }
            CreateFault::RivalAndAnswerLost(bytes) => {
                self.inner.put(path, bytes.into()).await?;
                Err(broken("connection reset"))
            }
        }
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode == PutMode::Create {
            return self.create(path, payload, options).await;
        }
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.puts > 0 {
                faults.puts -= 1;
                return Err(broken("503"));
            }
        }
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(path, options).await?;
        Ok(Box::new(FaultyUpload { inner, faults: Arc::clone(&self.faults) }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.reads > 0 {
                faults.reads -= 1;
                return Err(broken("503"));
            }
        }
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
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

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    faults: Arc<Mutex<Faults>>,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        if self.faults.lock().unwrap().parts {
            return Box::pin(async { Err(broken("503")) });
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.faults.lock().unwrap().aborted += 1;
        self.inner.abort().await
    }
}
