//! Asking the hub about a file, and for it.

use std::time::Duration;

use anyhow::Context as _;
use glass_stage::Stop;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response};
use url::Url;

use super::super::lock::{Lock, is_commit, is_plain};
use super::super::settings::Settings;
use super::answer::{Wanted, etag, number, text};
use super::attempts::{Attempts, Retry};
use super::error::HubError;

/// Time to open a connection.
const CONNECT: Duration = Duration::from_secs(10);
const REDIRECTS: usize = 10;

/// A file as the hub describes it.
#[derive(Clone, Debug)]
pub(in super::super) struct Remote {
    pub(in super::super) path: String,
    /// The commit that the revision stands at.
    pub(in super::super) commit: String,
    /// The name of its contents; for large files their sha256.
    pub(in super::super) etag: String,
    pub(in super::super) bytes: u64,
}

impl Remote {
    /// The digest that the hub states: it does for files in large-file storage.
    pub(in super::super) fn stated_sha256(&self) -> Option<&str> {
        let hex = self.etag.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (self.etag.len() == 64 && hex).then_some(self.etag.as_str())
    }
}

/// One repository on the hub.
pub(in super::super) struct Hub<'a> {
    /// Stops at the door of the storage, where the headers of the hub are.
    probe: Client,
    /// Follows to the storage.
    transfer: Client,
    endpoint: Url,
    page: String,
    repository: &'a str,
    pub(super) limit: Duration,
    retry: Retry,
    pub(super) stop: &'a Stop,
}

impl<'a> Hub<'a> {
    /// A client for the repository of `lock`; `limit` is the longest silence.
    pub(in super::super) fn new(
        settings: &Settings,
        lock: &'a Lock,
        limit: Duration,
        retry: Retry,
        stop: &'a Stop,
    ) -> anyhow::Result<Self> {
        let build = |policy: Policy| {
            Client::builder()
                .user_agent(concat!("glassctl/", env!("CARGO_PKG_VERSION")))
                .default_headers(headers(settings)?)
                .connect_timeout(CONNECT)
                .read_timeout(limit)
                .redirect(policy)
                .build()
                .context("cannot prepare connections")
        };
        Ok(Self {
            probe: build(Policy::custom(within_hub))?,
            transfer: build(Policy::limited(REDIRECTS))?,
            page: format!("{}/{}", settings.endpoint.as_str().trim_end_matches('/'), lock.repository),
            endpoint: settings.endpoint.clone(),
            repository: &lock.repository,
            limit,
            retry,
            stop,
        })
    }

    /// What the hub says about a file at a revision.
    pub(in super::super) async fn describe(&self, revision: &str, path: &str) -> Result<Remote, HubError> {
        let wanted = self.wanted(revision, path);
        let url = self.url(&wanted)?;
        let mut attempts = self.attempts();
        loop {
            let request = self.probe.head(url.clone()).header(ACCEPT_ENCODING, "identity");
            match self.answer(request, &wanted).await {
                Ok(response) => return remote(&wanted, response.headers()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Opens the contents of a file from a byte on.
    pub(super) async fn open(&self, remote: &Remote, from: u64) -> Result<Response, HubError> {
        let wanted = self.wanted(&remote.commit, &remote.path);
        let request = self.transfer.get(self.url(&wanted)?).header(ACCEPT_ENCODING, "identity");
        let request = match from {
            0 => request,
            from => request.header(RANGE, format!("bytes={from}-")),
        };
        self.answer(request, &wanted).await
    }

    pub(super) fn attempts(&self) -> Attempts<'_> {
        Attempts::new(self.retry, self.stop)
    }

    pub(super) fn wanted<'w>(&'w self, revision: &'w str, file: &'w str) -> Wanted<'w> {
        Wanted { repository: self.repository, revision, file, page: &self.page }
    }

    async fn answer(&self, request: reqwest::RequestBuilder, wanted: &Wanted<'_>) -> Result<Response, HubError> {
        let answer = tokio::select! {
            answer = request.send() => answer,
            () = self.stop.wait() => return Err(HubError::Interrupted),
        };
        wanted.check(answer.map_err(|error| wanted.broken(error, self.limit))?)
    }

    /// `endpoint/owner/name/resolve/revision/path`, every part escaped.
    fn url(&self, wanted: &Wanted<'_>) -> Result<Url, HubError> {
        let mut url = self.endpoint.clone();
        let parts = self.repository.split('/').chain(["resolve", wanted.revision]);
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(parts).extend(wanted.file.split('/'));
            }
            Err(()) => return Err(wanted.nonsense("its address takes no path")),
        }
        Ok(url)
    }
}

fn headers(settings: &Settings) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &settings.token {
        if is_exposed(&settings.endpoint) {
            tracing::warn!("the token is not sent: HF_ENDPOINT is not encrypted");
            return Ok(headers);
        }
        // The parse error would quote the token.
        let value = HeaderValue::from_str(&format!("Bearer {}", token.secret()));
        let mut value = value.ok().context("the token of the hub holds characters that no token has")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Whether what is sent there can be read on the way.
fn is_exposed(endpoint: &Url) -> bool {
    let here = matches!(endpoint.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    endpoint.scheme() == "http" && !here
}

/// Renamed repositories are followed; the way to the storage is not, its headers say less.
fn within_hub(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    let same = attempt.previous().last().is_some_and(|from| place(from) == place(attempt.url()));
    match same && attempt.previous().len() <= REDIRECTS {
        true => attempt.follow(),
        false => attempt.stop(),
    }
}

fn remote(wanted: &Wanted<'_>, headers: &HeaderMap) -> Result<Remote, HubError> {
    let missing = |name: &str| wanted.nonsense(format!("no usable header `{name}`"));
    // What becomes a name in the cache must be a plain one.
    let etag = etag(headers, "x-linked-etag").or_else(|| etag(headers, "etag"));
    let etag = etag.filter(|etag| is_plain(etag)).ok_or_else(|| missing("etag"))?;
    let commit = text(headers, "x-repo-commit").filter(|commit| is_commit(commit));
    let bytes = number(headers, "x-linked-size").or_else(|| number(headers, "content-length"));
    Ok(Remote {
        path: wanted.file.to_owned(),
        commit: commit.ok_or_else(|| missing("x-repo-commit"))?.to_owned(),
        etag,
        bytes: bytes.ok_or_else(|| missing("content-length"))?,
    })
}
