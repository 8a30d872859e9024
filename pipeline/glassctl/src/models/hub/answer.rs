//! Reading the headers of an answer.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use super::error::HubError;

/// What is asked for, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) repository: &'a str,
    pub(super) revision: &'a str,
    pub(super) file: &'a str,
    /// The repository's page, where a licence is accepted.
    pub(super) page: &'a str,
}

impl Wanted<'_> {
    /// The answer if it is one, or what it says went wrong.
    pub(super) fn check(&self, response: Response) -> Result<Response, HubError> {
        let status = response.status();
        // A probe does not follow the redirection to the storage; it is a good answer.
        if status.is_success() || status.is_redirection() {
            return Ok(response);
        }
        Err(self.failure(status, response.headers()))
    }

    fn failure(&self, status: StatusCode, headers: &HeaderMap) -> HubError {
        let (repository, page) = (self.repository.to_owned(), self.page.to_owned());
        match (status.as_u16(), text(headers, "x-error-code")) {
            (401 | 403, Some("GatedRepo")) => HubError::Gated { repository, page },
            // The hub says 401 for what does not exist, so as not to tell what does.
            (401 | 403, _) => HubError::Refused { repository, page },
            (404, code) => HubError::Missing { what: self.missing(code) },
            _ => HubError::Status { file: self.file.to_owned(), status, wait: retry_after(headers) },
        }
    }

    fn missing(&self, code: Option<&str>) -> String {
        match code {
            Some("RepoNotFound") => format!("repository `{}`", self.repository),
            Some("RevisionNotFound") => {
                format!("revision `{}` of `{}`", self.revision, self.repository)
            }
            _ => format!("file `{}` in `{}` at `{}`", self.file, self.repository, self.revision),
        }
    }

    pub(super) fn nonsense(&self, what: impl Into<String>) -> HubError {
        HubError::Answer { file: self.file.to_owned(), what: what.into() }
    }

    /// What the library says about a request without an answer.
    pub(super) fn broken(&self, error: reqwest::Error, limit: Duration) -> HubError {
        let file = self.file.to_owned();
        if error.is_timeout() {
            return HubError::Stalled { file, limit };
        }
        let what = match error.is_connect() {
            true => "cannot connect to the hub",
            false => "the connection to the hub broke",
        };
        HubError::Connection { file, what, source: Some(error.without_url()) }
    }
}

/// A header as text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// A header as a number.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// An entity tag without quotes and weakness mark.
pub(super) fn etag(headers: &HeaderMap, name: &str) -> Option<String> {
    let tag = text(headers, name)?.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    Some(tag.trim_matches('"').to_owned())
}

/// Where a `Content-Range: bytes 5-9/10` begins.
pub(super) fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, "content-range")?.trim().strip_prefix("bytes")?;
    range.trim().split('-').next()?.trim().parse().ok()
}

/// `Retry-After` in seconds; the form with a date is not used by the hub.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    number(headers, "retry-after").map(Duration::from_secs)
}
