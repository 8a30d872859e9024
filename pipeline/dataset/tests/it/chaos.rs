//! A store that misbehaves at random, the same way for the same seed and the same order of requests.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// One request in so many goes wrong.
const ONE_IN: u64 = 4;
/// How late a late request arrives: after its client has given up and tried again.
const LATE: Duration = Duration::from_millis(3);

/// What may happen to a write.
const WRITE_FAULTS: [&str; 9] = [
    "write: answer dropped",
    "write: arrives late",
    "write: arrives twice",
    "write: 409",
    "write: 412",
    "write: 429",
    "write: 500",
    "write: cut off",
    "write: answer late",
];
/// What may happen to a read.
const READ_FAULTS: [&str; 4] = ["read: 429", "read: 500", "read: cut off", "read: short"];
/// What may happen to a part of an upload or to its end.
const PART_FAULTS: [&str; 3] = ["part: 500", "part: answer dropped", "part: end's answer dropped"];
/// What may happen to a listing or a deletion.
const OTHER_FAULTS: [&str; 2] = ["list: breaks off", "delete: answer dropped"];

/// How often each fault happened.
pub type Counts = BTreeMap<&'static str, u64>;

#[derive(Clone, Debug)]
pub struct ChaosStore {
    pub inner: Arc<InMemory>,
    dice: Arc<Mutex<Dice>>,
}

#[derive(Debug)]
struct Dice {
    state: u64,
    injected: Counts,
}

impl ChaosStore {
    pub fn new(seed: u64) -> Self {
        let names = WRITE_FAULTS.iter().chain(&READ_FAULTS).chain(&PART_FAULTS).chain(&OTHER_FAULTS);
        let injected = names.map(|name| (*name, 0)).collect();
        let dice = Dice { state: seed, injected };
        Self { inner: Arc::default(), dice: Arc::new(Mutex::new(dice)) }
    }

    pub fn injected(&self) -> Counts {
        self.dice.lock().unwrap().injected.clone()
    }

    /// One of these faults, or none.
    fn roll(&self, faults: &[&'static str]) -> Option<&'static str> {
        let mut dice = self.dice.lock().unwrap();
        dice.state = dice.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // SplitMix64.
        let mixed = (dice.state ^ (dice.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let value = mixed ^ (mixed >> 31);
        if !value.is_multiple_of(ONE_IN) {
            return None;
        }
        let fault = faults[(value / ONE_IN % faults.len() as u64) as usize];
        *dice.injected.entry(fault).or_default() += 1;
        Some(fault)
    }
}

impl fmt::Display for ChaosStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("chaos")
    }
}

fn broken(what: &'static str) -> Error {
    Error::Generic { store: "chaos", source: what.into() }
}

#[async_trait]
impl ObjectStore for ChaosStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let write = || self.inner.put_opts(path, payload.clone(), options.clone());
        let Some(fault) = self.roll(&WRITE_FAULTS) else {
            return write().await;
        };
        match fault {
            "write: answer dropped" => {
                let _ = write().await;
                Err(broken("connection reset"))
            }
            "write: arrives late" => {
                let (inner, path) = (Arc::clone(&self.inner), path.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(LATE).await;
                    let _ = inner.put_opts(&path, payload, options).await;
                });
                Err(broken("timed out"))
            }
            "write: answer late" => {
                let answer = write().await;
                tokio::time::sleep(LATE).await;
                answer
            }
            "write: arrives twice" => {
                let _ = write().await;
                write().await
            }
            "write: 409" => Err(Error::AlreadyExists { path: path.to_string(), source: "409".into() }),
            "write: 412" if options.mode == PutMode::Create => {
                Err(Error::AlreadyExists { path: path.to_string(), source: "412".into() })
            }
            // Half of a plain object is there. A store that tears what it creates conditionally is
            // none that a dataset may be trusted to.
            "write: cut off" if options.mode == PutMode::Overwrite => {
                let bytes = Bytes::from(payload.clone());
                let _ = self.inner.put(path, bytes.slice(..bytes.len() / 2).into()).await;
                Err(broken("connection reset"))
            }
            "write: 429" => Err(broken("429")),
            _ => Err(broken("500")),
        }
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(path, options).await?;
        Ok(Box::new(ChaosUpload { inner, store: self.clone() }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut answer = match self.roll(&READ_FAULTS) {
            None => return self.inner.get_opts(path, options).await,
            Some("read: 429") => return Err(broken("429")),
            Some("read: 500") => return Err(broken("500")),
            Some(fault) => (self.inner.get_opts(path, options).await?, fault),
        };
        let (attributes, range) = (answer.0.attributes.clone(), answer.0.range.clone());
        let (meta, extensions) = (answer.0.meta.clone(), std::mem::take(&mut answer.0.extensions));
        let bytes = answer.0.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        // Cut off with an error, or without one as behind a careless proxy.
        let end = (answer.1 == "read: cut off").then(|| Err(broken("connection reset")));
        let body = stream::iter([Ok(half)].into_iter().chain(end)).boxed();
        Ok(GetResult { payload: GetResultPayload::Stream(body), meta, range, attributes, extensions })
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut pieces = self.inner.get_ranges(path, ranges).await?;
        match self.roll(&READ_FAULTS) {
            None => Ok(pieces),
            Some("read: short") => {
                if let Some(last) = pieces.last_mut() {
                    *last = last.slice(..last.len() / 2);
                }
                Ok(pieces)
            }
            Some(fault) => Err(broken(fault)),
        }
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let deleted = self.inner.delete_stream(paths);
        match self.roll(&OTHER_FAULTS) {
            Some("delete: answer dropped") => deleted.map(|result| result.and(Err(broken("connection reset")))).boxed(),
            _ => deleted,
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list(prefix);
        match self.roll(&OTHER_FAULTS) {
            Some("list: breaks off") => listed.take(1).chain(stream::iter([Err(broken("connection reset"))])).boxed(),
            _ => listed,
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct ChaosUpload {
    inner: Box<dyn MultipartUpload>,
    store: ChaosStore,
}

#[async_trait]
impl MultipartUpload for ChaosUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let fault = self.store.roll(&PART_FAULTS[..2]);
        if fault == Some(PART_FAULTS[0]) {
            return Box::pin(async { Err(broken("500")) });
        }
        let part = self.inner.put_part(data);
        Box::pin(async move {
            part.await?;
            fault.map_or(Ok(()), |_| Err(broken("connection reset")))
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let answer = self.inner.complete().await;
        match self.store.roll(&PART_FAULTS[2..]) {
            Some(_) => Err(broken("connection reset")),
            None => answer,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
