//! One place to keep objects: a folder, memory or a bucket.

mod aws_profile;
mod azure_connection;
mod google_key;
mod open;
mod options;
mod redact;
mod unfinished;
mod uploads;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::answer::{is_denied, is_missing};
use crate::error::{DatasetError, Result};
use crate::retry::RetryPolicy;

pub use options::{PlainHttp, StoreOptions};
pub use uploads::UnfinishedUpload;
use uploads::Uploads;

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Key below the store's root.
    pub key: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Seconds since 1970 of the last write.
    pub modified: i64,
}

/// A store and the prefix below which everything of ours lives. Cheap to clone.
///
/// Every call is tried again while the store fails for a passing reason; calls that must not be
/// made twice are made safe by reading back ([`crate::commit`]).
///
/// # Local disk
/// A put writes a hidden file beside the target and moves it there; a conditional create hard-links
/// it, which the kernel does for one creator only. File and folder are synced before a write
/// counts, so what was committed survives a power cut. The file system must know hard links.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    prefix: Path,
    uri: String,
    retry: RetryPolicy,
    /// Where it is on this machine's disk.
    disk: Disk,
    /// How to ask for uploads that were not completed.
    uploads: Option<Uploads>,
}

/// Whether a store is a folder of this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Folder,
    Elsewhere,
}

/// The store's own clients print their credentials; this one prints its name.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("uri", &self.uri).finish_non_exhaustive()
    }
}

impl Store {
    /// A store of any kind, e.g. a wrapper that injects faults; `uri` names it in errors.
    pub fn custom(inner: Arc<dyn ObjectStore>, uri: &str, retry: RetryPolicy) -> Self {
        Self { inner, prefix: Path::default(), uri: uri.to_owned(), retry, disk: Disk::Elsewhere, uploads: None }
    }

    /// The same store with a folder below this one's root as its root.
    pub fn below(&self, folder: &str) -> Self {
        Self { prefix: self.path(folder), uri: format!("{}/{folder}", self.uri.trim_end_matches('/')), ..self.clone() }
    }

    /// The URI it was opened with.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    pub(crate) fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.inner
    }

    pub(crate) fn retry(&self) -> RetryPolicy {
        self.retry
    }

    pub(crate) fn path(&self, key: &str) -> Path {
        Path::from_iter(self.prefix.parts().chain(Path::from(key).parts()))
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// [`DatasetError::Missing`], [`DatasetError::Denied`], [`DatasetError::Store`].
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        self.get_raw(key).await.map_err(|e| self.error(key, e))
    }

    /// The bytes of an object, `None` if there is none.
    ///
    /// # Errors
    /// As [`Store::get`] without `Missing`.
    pub async fn get_if_there(&self, key: &str) -> Result<Option<Bytes>> {
        match self.get_raw(key).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(key, error)),
        }
    }

    pub(crate) async fn get_raw(&self, key: &str) -> object_store::Result<Bytes> {
        let path = self.path(key);
        self.retry
            .run(|| async {
                let answer = self.inner.get(&path).await?;
                let expected = answer.range.end - answer.range.start;
                whole(expected, answer.bytes().await?)
            })
            .await
    }

    /// The size of an object in bytes, `None` if there is none.
    ///
    /// # Errors
    /// As [`Store::get`] without `Missing`.
    pub async fn size(&self, key: &str) -> Result<Option<u64>> {
        let path = self.path(key);
        match self.retry.run(|| self.inner.head(&path)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error(key, error)),
        }
    }

    /// One range of an object, which must reach that far.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let path = self.path(key);
        self.retry
            .run(|| async {
                let bytes = self.inner.get_range(&path, range.clone()).await?;
                whole(range.end - range.start, bytes)
            })
            .await
            .map_err(|e| self.error(key, e))
    }

    /// Several ranges of an object, which must reach that far, neighbours fetched together.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let path = self.path(key);
        self.retry
            .run(|| async {
                let pieces = self.inner.get_ranges(&path, ranges).await?;
                let pairs = ranges.iter().zip(pieces);
                pairs.map(|(range, bytes)| whole(range.end - range.start, bytes)).collect()
            })
            .await
            .map_err(|e| self.error(key, e))
    }

    /// Writes an object, replacing it. For keys that only one attempt uses.
    ///
    /// # Errors
    /// [`DatasetError::Denied`], [`DatasetError::NoBucket`], [`DatasetError::Store`].
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(key);
        self.retry
            .run(|| self.inner.put(&path, PutPayload::from(bytes.clone())))
            .await
            .map(drop)
            .map_err(|e| self.bucket_error(key, e))
    }

    /// One conditional create, not tried again: the answer may be ambiguous. Use
    /// [`crate::commit::create`].
    pub(crate) async fn create_once(&self, key: &str, bytes: Bytes) -> object_store::Result<()> {
        let options = PutOptions::from(PutMode::Create);
        let payload = PutPayload::from(bytes);
        self.inner.put_opts(&self.path(key), payload, options).await.map(drop)
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// [`DatasetError::Denied`], [`DatasetError::Store`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key);
        match self.retry.run(|| self.inner.delete(&path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(key, error)),
        }
    }

    /// Every object below the folder `prefix`, in the store's order, as the listing arrives.
    /// A failing listing is not tried again here: the caller may have used a part of it.
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<Entry>> {
        let root = self.prefix.clone();
        let store = self.clone();
        let listed = prefix.to_owned();
        self.inner
            .list(Some(&self.path(prefix)))
            .map(move |meta| {
                let meta = meta.map_err(|e| store.bucket_error(&listed, e))?;
                let below: Option<Path> = meta.location.prefix_match(&root).map(Path::from_iter);
                Ok(Entry {
                    key: below.unwrap_or(meta.location).to_string(),
                    bytes: meta.size,
                    modified: meta.last_modified.timestamp(),
                })
            })
            .boxed()
    }

    /// Keys of every object below the folder `prefix`; the whole listing is tried again.
    ///
    /// # Errors
    /// [`DatasetError::Denied`], [`DatasetError::Store`].
    pub async fn list_keys(&self, prefix: &str) -> Result<Vec<String>> {
        let mut failed = 0;
        loop {
            let keys = self.list(prefix).map_ok(|entry| entry.key).try_collect().await;
            match keys {
                Err(error) if error.is_transient() && failed + 1 < self.retry.attempts => {
                    failed += 1;
                    tokio::time::sleep(self.retry.wait(failed)).await;
                }
                result => return result,
            }
        }
    }

    /// Names of the folders directly below `prefix`.
    ///
    /// # Errors
    /// [`DatasetError::Denied`], [`DatasetError::Store`].
    pub async fn list_folders(&self, prefix: &str) -> Result<Vec<String>> {
        let path = self.path(prefix);
        let listed = self.retry.run(|| self.inner.list_with_delimiter(Some(&path))).await;
        let folders = listed.map_err(|e| self.bucket_error(prefix, e))?.common_prefixes;
        let name = |folder: &Path| folder.filename().map(str::to_owned);
        Ok(folders.iter().filter_map(name).collect())
    }

    /// What time it is by the store's clock, in seconds since 1970: that of an object that is written
    /// at `key` for it and removed again.
    ///
    /// # Errors
    /// [`DatasetError::Denied`], [`DatasetError::Store`].
    pub(crate) async fn time(&self, key: &str) -> Result<i64> {
        self.put(key, Bytes::from_static(b"what time is it")).await?;
        let path = self.path(key);
        let written = self.retry.run(|| self.inner.head(&path)).await;
        self.delete(key).await?;
        Ok(written.map_err(|e| self.error(key, e))?.last_modified.timestamp())
    }

    pub(crate) fn error(&self, key: &str, source: object_store::Error) -> DatasetError {
        let (store, key) = (self.uri.clone(), key.to_owned());
        match source {
            object_store::Error::NotFound { .. } => DatasetError::Missing { store, key },
            source if is_denied(&source) => DatasetError::Denied { store, key, source: source.into() },
            source => DatasetError::Store { store, key, source: source.into() },
        }
    }

    /// An error of a request that needs no object, but the bucket: a write or a listing.
    pub(crate) fn bucket_error(&self, key: &str, source: object_store::Error) -> DatasetError {
        match self.disk {
            Disk::Elsewhere if is_missing(&source) => DatasetError::NoBucket { bucket: bucket(&self.uri) },
            _ => self.error(key, source),
        }
    }
}

/// The beginning of a URI that names the bucket.
fn bucket(uri: &str) -> String {
    let start = uri.find("://").map_or(0, |at| at + 3);
    uri[start..].find('/').map_or(uri, |length| &uri[..start + length]).to_owned()
}

/// An answer, if it is as long as it should be. A body that a proxy cut off need not come with an
/// error; asking again is what helps.
fn whole(expected: u64, bytes: Bytes) -> object_store::Result<Bytes> {
    if bytes.len() as u64 == expected {
        return Ok(bytes);
    }
    let message = format!("{} of {expected} bytes came", bytes.len());
    Err(object_store::Error::Generic { store: "store", source: message.into() })
}
