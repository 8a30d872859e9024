//! How a store is spoken to.

use std::time::Duration;

use glass_schemas::spec::{Addressing, StoreSpec};

use crate::retry::RetryPolicy;

/// Whether an endpoint may be spoken to without encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only where the environment says so (`AWS_ALLOW_HTTP=true`, `AZURE_ALLOW_HTTP=true`).
    #[default]
    AsEnvironment,
    /// Allowed: the endpoint was given as `http://…` by the user.
    Allow,
}

/// How to reach a store. Credentials and region come from the environment (`AWS_*`, `GOOGLE_*`,
/// `AZURE_*`) and from the clouds' usual files only; they are no part of this.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOptions {
    /// Endpoint of a compatible store; the environment's if absent, then the cloud's own.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be plain HTTP.
    pub plain_http: PlainHttp,
    /// How an S3 bucket is addressed; `AWS_VIRTUAL_HOSTED_STYLE_REQUEST` if absent, then by path.
    pub addressing: Option<Addressing>,
    /// HTTP proxy; that of the environment (`HTTPS_PROXY`) if absent.
    pub proxy: Option<String>,
    /// Requests under way at once (buckets).
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
        let endpoint = spec.endpoint.as_deref();
        let plain = endpoint.is_some_and(|url| url.starts_with("http://"));
        Self {
            endpoint: spec.endpoint.clone(),
            plain_http: match plain {
                true => PlainHttp::Allow,
                false => PlainHttp::AsEnvironment,
            },
            addressing: spec.addressing,
            proxy: spec.proxy.clone(),
            concurrency: spec.concurrency.max(1),
            retry: RetryPolicy {
                attempts: u32::try_from(spec.retries).unwrap_or(u32::MAX).max(1),
                first_wait: Duration::from_millis(spec.backoff_milliseconds),
            },
            retry_for: Duration::from_secs(spec.retry_seconds),
            timeout: Duration::from_secs(spec.timeout_seconds.max(1)),
        }
    }
}
