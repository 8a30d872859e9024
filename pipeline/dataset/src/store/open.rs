//! From a URI to a store.

use std::path::{Component, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use glass_schemas::spec::Addressing;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::limit::LimitStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use super::aws_profile::Profile;
use super::azure_connection;
use super::google_key;
use super::options::{PlainHttp, StoreOptions};
use super::uploads::Uploads;
use super::{Disk, Store, redact};
use crate::answer::told;
use crate::error::{DatasetError, Result};
use crate::retry::RetryPolicy;

/// Longest wait between two tries of one request.
const MAX_BACKOFF: Duration = Duration::from_secs(15);
/// Tries of ours beside those of a bucket's client: one more covers answers cut off in the body.
const BUCKET_ATTEMPTS: u32 = 2;
/// A disk that fails thrice fails.
const FOLDER_ATTEMPTS: u32 = 3;

impl Store {
    /// Opens the store at `uri`: a folder, `file://…`, `memory://` (a new and empty one, gone with
    /// its last clone), `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    /// Nothing is created or contacted yet.
    ///
    /// # Errors
    /// [`DatasetError::InvalidStore`], [`DatasetError::Credentials`]; neither shows a secret that was put
    /// into an address or a key file.
    pub fn open(uri: &str, options: &StoreOptions) -> Result<Self> {
        let shown = || redact::shown(uri);
        open(uri, options).map_err(|refused| match refused {
            Refused::Store(message) => DatasetError::InvalidStore { uri: shown(), message },
            Refused::Credentials(message) => DatasetError::Credentials { uri: shown(), message },
        })
    }
}

/// Why a store cannot be opened.
enum Refused {
    /// Its address or its options are no use.
    Store(String),
    /// What the environment says of credentials is no use.
    Credentials(String),
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self::Store(message)
    }
}

impl From<object_store::Error> for Refused {
    fn from(error: object_store::Error) -> Self {
        let said = told(&error);
        // The client tells no kinds here, and of a key says which of its characters is wrong.
        let known = [
            ("Missing AccessKeyId", "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"),
            ("Missing SecretAccessKey", "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"),
            ("Account must be specified", "no account is named (AZURE_STORAGE_ACCOUNT_NAME)"),
            ("Invalid Access Key", "the account's key (AZURE_STORAGE_ACCOUNT_KEY) is not base64"),
            ("SAS", "the signature (AZURE_STORAGE_SAS_TOKEN) is no list of `name=value`"),
        ];
        match known.iter().find(|(sign, _)| said.contains(sign)) {
            Some((_, meaning)) => Self::Credentials((*meaning).to_owned()),
            None => Self::Store(said),
        }
    }
}

fn open(uri: &str, options: &StoreOptions) -> Result<Store, Refused> {
    redact::refuse_secrets("the URI", uri)?;
    for (what, address) in [("the endpoint", &options.endpoint), ("the proxy", &options.proxy)] {
        redact::refuse_secrets(what, address.as_deref().unwrap_or_default())?;
    }
    let limited = |attempts: u32| RetryPolicy { attempts: options.retry.attempts.min(attempts), ..options.retry };
    let scheme = Scheme::of(uri)?;
    let disk = match scheme {
        Scheme::Folder(_) => Disk::Folder,
        _ => Disk::Elsewhere,
    };
    let mut uploads = None;
    let (inner, prefix, retry): (Arc<dyn ObjectStore>, Path, RetryPolicy) = match scheme {
        Scheme::Memory => (Arc::new(InMemory::new()), Path::default(), options.retry),
        Scheme::Folder(folder) => {
            let folder = without_parents(&folder).map_err(|e| e.to_string())?;
            let prefix = Path::from_absolute_path(&folder).map_err(|e| e.to_string())?;
            let disk = LocalFileSystem::new().with_fsync(true);
            (Arc::new(disk), prefix, limited(FOLDER_ATTEMPTS))
        }
        Scheme::Bucket(cloud, url) => {
            let prefix = Path::from_url_path(url.path()).map_err(|e| e.to_string())?;
            let bucket = url.host_str().unwrap_or_default();
            let (built, asked) = cloud.build(bucket, options)?;
            uploads = asked;
            (built, prefix, limited(BUCKET_ATTEMPTS))
        }
    };
    Ok(Store { inner, prefix, uri: uri.to_owned(), retry, disk, uploads })
}

enum Scheme {
    Memory,
    Folder(PathBuf),
    Bucket(Cloud, Url),
}

#[derive(Clone, Copy)]
enum Cloud {
    S3,
    Google,
    Azure,
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
        let cloud = match scheme {
            "memory" => return Ok(Self::Memory),
            "file" => {
                let folder = url.to_file_path();
                return folder
                    .map(Self::Folder)
                    .map_err(|()| "a file:// URI needs an absolute path and no host".to_owned());
            }
            "s3" => Cloud::S3,
            "gs" => Cloud::Google,
            "az" => Cloud::Azure,
            other => return Err(format!("`{other}://` is not supported")),
        };
        match url.host_str() {
            Some(_) => Ok(Self::Bucket(cloud, url)),
            None => Err(format!("a {scheme}:// URI needs a bucket")),
        }
    }
}

impl Cloud {
    fn build(self, bucket: &str, options: &StoreOptions) -> Result<(Arc<dyn ObjectStore>, Option<Uploads>), Refused> {
        let limit = options.concurrency;
        Ok(match self {
            Self::S3 => {
                let (store, client) = s3(bucket, options)?;
                let uploads = Uploads { bucket: Arc::new(store.clone()), client };
                (Arc::new(LimitStore::new(store, limit)), Some(uploads))
            }
            // Signing needs a key that most ways to log in to Google do not give.
            Self::Google => (Arc::new(LimitStore::new(google(bucket, options)?, limit)), None),
            Self::Azure => (Arc::new(LimitStore::new(azure(bucket, options)?, limit)), None),
        })
    }
}

/// What the client of a store is told by its variables and by the options, for requests of our own.
const CLIENT_KEYS: [ClientConfigKey; 8] = [
    ClientConfigKey::AllowHttp,
    ClientConfigKey::AllowInvalidCertificates,
    ClientConfigKey::ConnectTimeout,
    ClientConfigKey::ProxyCaCertificate,
    ClientConfigKey::ProxyExcludes,
    ClientConfigKey::ProxyUrl,
    ClientConfigKey::Timeout,
    ClientConfigKey::UserAgent,
];

fn s3(bucket: &str, options: &StoreOptions) -> Result<(AmazonS3, HttpClient), Refused> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retries(options));
    for (key, value) in client_values(options) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(addressing) = options.addressing {
        builder = builder.with_virtual_hosted_style_request(addressing == Addressing::VirtualHosted);
    }
    refuse_secrets("AWS_ENDPOINT_URL", builder.get_config_value(&AmazonS3ConfigKey::Endpoint))?;
    let builder = with_profile(builder);
    let mut client = ClientOptions::new();
    for key in CLIENT_KEYS {
        if let Some(value) = builder.get_config_value(&AmazonS3ConfigKey::Client(key)) {
            client = client.with_config(key, value);
        }
    }
    let client = ReqwestConnector::default().connect(&client)?;
    Ok((builder.build()?, client))
}

/// Fills in what no variable says from the profile files.
fn with_profile(mut builder: AmazonS3Builder) -> AmazonS3Builder {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let profile = Profile::from_environment(set);
    // A role of the machine or of the job wins over files, as it does for the command line.
    let given = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"];
    if given.iter().all(|name| set(name).is_none())
        && let Some((key, secret, token)) = profile.credentials()
    {
        builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        if let Some(token) = token {
            builder = builder.with_token(token);
        }
    }
    match profile.region() {
        Some(region) if set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).is_none() => {
            builder.with_region(region)
        }
        _ => builder,
    }
}

fn google(bucket: &str, options: &StoreOptions) -> Result<GoogleCloudStorage, Refused> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retries(options));
    for (key, value) in client_values(options) {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    let of_key = google_key::check(&builder).map_err(Refused::Credentials)?;
    refuse_secrets("`gcs_base_url` of the key file", of_key)?;
    refuse_secrets("GOOGLE_BASE_URL", builder.get_config_value(&GoogleConfigKey::BaseUrl))?;
    Ok(builder.build()?)
}

fn azure(container: &str, options: &StoreOptions) -> Result<MicrosoftAzure, Refused> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retries(options));
    for (key, value) in client_values(options) {
        builder = builder.with_config(AzureConfigKey::Client(key), value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    if let Ok(text) = std::env::var(azure_connection::VARIABLE) {
        builder = azure_connection::fill(builder, &text).map_err(Refused::Credentials)?;
    }
    refuse_secrets("AZURE_STORAGE_ENDPOINT", builder.get_config_value(&AzureConfigKey::Endpoint))?;
    Ok(builder.build()?)
}

/// Refuses an endpoint of the environment's that carries credentials: it is part of what errors say.
fn refuse_secrets(what: &str, endpoint: Option<String>) -> Result<(), Refused> {
    Ok(redact::refuse_secrets(what, endpoint.as_deref().unwrap_or_default())?)
}

/// What the HTTP client of any cloud is told.
fn client_values(options: &StoreOptions) -> Vec<(ClientConfigKey, String)> {
    let seconds = format!("{}s", options.timeout.as_secs_f64());
    let mut values = vec![(ClientConfigKey::Timeout, seconds)];
    if let Some(proxy) = &options.proxy {
        values.push((ClientConfigKey::ProxyUrl, proxy.clone()));
    }
    if options.plain_http == PlainHttp::Allow {
        values.push((ClientConfigKey::AllowHttp, "true".to_owned()));
    }
    values
}

fn retries(options: &StoreOptions) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: options.retry.first_wait, max_backoff: MAX_BACKOFF, base: 2.0 },
        max_retries: options.retry.attempts.saturating_sub(1) as usize,
        retry_timeout: options.retry_for,
    }
}

/// The folder as an absolute path without `..`, which object keys do not know; links are followed
/// as the system would.
fn without_parents(folder: &std::path::Path) -> std::io::Result<PathBuf> {
    let folder = std::path::absolute(folder)?;
    if !folder.components().any(|part| part == Component::ParentDir) {
        return Ok(folder);
    }
    let there = folder.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
    Ok(match there {
        Some((ancestor, real)) => real.join(folder.strip_prefix(ancestor).unwrap_or(&folder)),
        None => folder,
    })
}
