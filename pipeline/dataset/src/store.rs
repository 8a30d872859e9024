//! One place to keep objects: a folder, memory or a bucket.

use std::ops::Range;
use std::path::Component;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use glass_schemas::spec::StoreSpec;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::limit::LimitStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    RetryConfig,
};
use url::Url;

use crate::error::{DatasetError, Result, is_denied};
use crate::retry::RetryPolicy;

/// Whether an S3 endpoint may be spoken to without encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only where `AWS_ALLOW_HTTP=true` says so.
    #[default]
    AsEnvironment,
    /// Allowed: the endpoint was given as `http://…` by the user.
    Allow,
}

/// How to reach a store. Credentials and region come from the usual `AWS_*` variables only.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOptions {
    /// S3 endpoint; `AWS_ENDPOINT_URL` if absent, then Amazon's own. Path-style requests are made
    /// unless `AWS_VIRTUAL_HOSTED_STYLE_REQUEST=true`.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be plain HTTP.
    pub plain_http: PlainHttp,
    /// Requests under way at once (S3).
    pub concurrency: usize,
    /// Tries of one request.
    pub retry: RetryPolicy,
    /// No further try is started this long after the first.
    pub retry_for: Duration,
    /// Longest time for one request.
    pub timeout: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::from(&StoreSpec::default())
    }
}

impl From<&StoreSpec> for StoreOptions {
    fn from(spec: &StoreSpec) -> Self {
        let plain = spec
            .endpoint
            .as_deref()
            .is_some_and(|url| url.starts_with("http://"));
        Self {
            endpoint: spec.endpoint.clone(),
            plain_http: if plain {
                PlainHttp::Allow
            } else {
                PlainHttp::AsEnvironment
            },
            concurrency: spec.concurrency.max(1),
            retry: RetryPolicy {
                attempts: u32::try_from(spec.retries).unwrap_or(u32::MAX).max(1),
                first_wait: Duration::from_millis(100),
            },
            retry_for: Duration::from_secs(120),
            timeout: Duration::from_secs(spec.timeout_seconds.max(1)),
        }
    }
}

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
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    prefix: Path,
    uri: String,
    retry: RetryPolicy,
}

impl Store {
    /// Opens the store at `uri`: a folder, `file://…`, `memory://` (a new and empty one, gone with
    /// its last clone) or `s3://bucket/prefix`. Nothing is created or contacted yet.
    ///
    /// # Errors
    /// [`DatasetError::InvalidStore`].
    pub fn open(uri: &str, options: &StoreOptions) -> Result<Self> {
        let invalid = |message: String| DatasetError::InvalidStore {
            uri: uri.to_owned(),
            message,
        };
        match Scheme::of(uri).map_err(invalid)? {
            Scheme::Memory => Ok(Self {
                inner: Arc::new(InMemory::new()),
                prefix: Path::default(),
                uri: uri.to_owned(),
                retry: options.retry,
            }),
            Scheme::Folder(folder) => {
                let folder = without_parents(&folder).map_err(|e| invalid(e.to_string()))?;
                let prefix =
                    Path::from_absolute_path(&folder).map_err(|e| invalid(e.to_string()))?;
                Ok(Self {
                    inner: Arc::new(LocalFileSystem::new().with_fsync(true)),
                    prefix,
                    uri: uri.to_owned(),
                    retry: RetryPolicy {
                        attempts: options.retry.attempts.min(3),
                        ..options.retry
                    },
                })
            }
            Scheme::S3(url) => {
                let prefix = Path::from_url_path(url.path()).map_err(|e| invalid(e.to_string()))?;
                let s3 = s3(&url, options).map_err(|e| invalid(chain(&e)))?;
                Ok(Self {
                    inner: Arc::new(LimitStore::new(s3, options.concurrency)),
                    prefix,
                    uri: uri.to_owned(),
                    // The client retries by itself; once more covers answers cut off in the body.
                    retry: RetryPolicy {
                        attempts: options.retry.attempts.min(2),
                        ..options.retry
                    },
                })
            }
        }
    }

    /// A store of any kind, e.g. a wrapper that injects faults; `uri` names it in errors.
    pub fn custom(inner: Arc<dyn ObjectStore>, uri: &str, retry: RetryPolicy) -> Self {
        Self {
            inner,
            prefix: Path::default(),
            uri: uri.to_owned(),
            retry,
        }
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
            .run(|| async { self.inner.get(&path).await?.bytes().await })
            .await
    }

    /// One range of an object.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let path = self.path(key);
        self.retry
            .run(|| self.inner.get_range(&path, range.clone()))
            .await
            .map_err(|e| self.error(key, e))
    }

    /// Several ranges of an object, neighbours fetched together.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn get_ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let path = self.path(key);
        self.retry
            .run(|| self.inner.get_ranges(&path, ranges))
            .await
            .map_err(|e| self.error(key, e))
    }

    /// Writes an object, replacing it. For keys that only one attempt uses.
    ///
    /// # Errors
    /// [`DatasetError::Denied`], [`DatasetError::InvalidStore`] (no such bucket),
    /// [`DatasetError::Store`].
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(key);
        self.retry
            .run(|| self.inner.put(&path, PutPayload::from(bytes.clone())))
            .await
            .map(drop)
            .map_err(|e| self.write_error(key, e))
    }

    /// One conditional create, not tried again: the answer may be ambiguous. Use
    /// [`crate::commit::create`].
    pub(crate) async fn create_once(&self, key: &str, bytes: Bytes) -> object_store::Result<()> {
        let options = PutOptions::from(PutMode::Create);
        let payload = PutPayload::from(bytes);
        self.inner
            .put_opts(&self.path(key), payload, options)
            .await
            .map(drop)
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
                let meta = meta.map_err(|e| store.error(&listed, e))?;
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
            let keys = self
                .list(prefix)
                .map_ok(|entry| entry.key)
                .try_collect()
                .await;
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
        let listed = self
            .retry
            .run(|| self.inner.list_with_delimiter(Some(&path)))
            .await;
        let folders = listed.map_err(|e| self.error(prefix, e))?.common_prefixes;
        let name = |folder: &Path| folder.filename().map(str::to_owned);
        Ok(folders.iter().filter_map(name).collect())
    }

    pub(crate) fn error(&self, key: &str, source: object_store::Error) -> DatasetError {
        let (store, key) = (self.uri.clone(), key.to_owned());
        match source {
            object_store::Error::NotFound { .. } => DatasetError::Missing { store, key },
            source if is_denied(&source) => DatasetError::Denied { store, key, source },
            source => DatasetError::Store { store, key, source },
        }
    }

    pub(crate) fn write_error(&self, key: &str, source: object_store::Error) -> DatasetError {
        match source {
            object_store::Error::NotFound { .. } => DatasetError::InvalidStore {
                uri: self.uri.clone(),
                message: "it does not exist (no such bucket?)".to_owned(),
            },
            source => self.error(key, source),
        }
    }
}

/// The folder as an absolute path without `..`, which object keys do not know; links are followed as the
/// system would.
fn without_parents(folder: &std::path::Path) -> std::io::Result<std::path::PathBuf> {
    let folder = std::path::absolute(folder)?;
    if !folder.components().any(|part| part == Component::ParentDir) {
        return Ok(folder);
    }
    let there = folder
        .ancestors()
        .find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    Ok(match there {
        Some((ancestor, real)) => real.join(folder.strip_prefix(ancestor).unwrap_or(&folder)),
        None => folder,
    })
}

enum Scheme {
    Memory,
    Folder(std::path::PathBuf),
    S3(Url),
}

impl Scheme {
    fn of(uri: &str) -> Result<Self, String> {
        if uri.is_empty() {
            return Err("no store is given".to_owned());
        }
        let Some((scheme, _)) = uri.split_once("://") else {
            return Ok(Self::Folder(uri.into()));
        };
        let url = Url::parse(uri).map_err(|e| e.to_string())?;
        match scheme {
            "memory" => Ok(Self::Memory),
            "file" => url
                .to_file_path()
                .map(Self::Folder)
                .map_err(|()| "a file:// URI needs an absolute path and no host".to_owned()),
            "s3" if url.host_str().is_some() => Ok(Self::S3(url)),
            "s3" => Err("an s3:// URI needs a bucket".to_owned()),
            other => Err(format!("`{other}://` is not supported")),
        }
    }
}

fn s3(url: &Url, options: &StoreOptions) -> object_store::Result<object_store::aws::AmazonS3> {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs_f64());
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(url.host_str().unwrap_or_default())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_config(
            AmazonS3ConfigKey::Client(ClientConfigKey::Timeout),
            seconds(options.timeout),
        )
        .with_retry(RetryConfig {
            backoff: BackoffConfig {
                init_backoff: options.retry.first_wait,
                max_backoff: Duration::from_secs(15),
                base: 2.0,
            },
            max_retries: options.retry.attempts.saturating_sub(1) as usize,
            retry_timeout: options.retry_for,
        });
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if options.plain_http == PlainHttp::Allow {
        builder = builder.with_allow_http(true);
    }
    builder.build()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        next = error.source();
    }
    text
}
