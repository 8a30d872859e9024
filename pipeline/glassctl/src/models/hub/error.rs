//! What can go wrong between here and the hub.

use std::time::Duration;

use glass_stage::Explain;

/// A request that failed, named by what can be done about it. No message holds a URL: those of
/// the storage behind the hub carry signatures.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum HubError {
    /// The licence has not been accepted, or the token does not say by whom.
    #[error("`{repository}` is gated: the hub gives it only to those who accepted its licence")]
    Gated { repository: String, page: String },
    /// 401 or 403 without more.
    #[error("the hub refused access to `{repository}`: it is private, gated, or does not exist")]
    Refused { repository: String, page: String },
    /// 404.
    #[error("the hub has no {what}")]
    Missing { what: String },
    /// The lock file's digest is not that of the file on the hub.
    #[error("`{file}`: the lock file expects sha256 `{expected}`, found `{found}`")]
    OtherContents { file: String, expected: String, found: String },
    /// What arrived is not what the hub said it would send.
    #[error("`{file}` arrived damaged: the hub states sha256 `{expected}`, found `{found}`")]
    Damaged { file: String, expected: String, found: String },
    /// Any other status.
    #[error("`{file}`: the hub answered {status}")]
    Status { file: String, status: reqwest::StatusCode, wait: Option<Duration> },
    /// The line is open but nothing comes.
    #[error("`{file}`: no byte from the hub for {} s", .limit.as_secs())]
    Stalled { file: String, limit: Duration },
    /// The line broke, or could not be opened.
    #[error("`{file}`: {what}")]
    Connection {
        file: String,
        what: &'static str,
        #[source]
        source: Option<reqwest::Error>,
    },
    /// An answer that a hub does not give.
    #[error("`{file}`: the hub's answer makes no sense: {what}")]
    Answer { file: String, what: String },
    /// The cache cannot be written.
    #[error("cannot write to `{path}`")]
    Write {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// A signal asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl HubError {
    /// Whether asking again may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => status.is_server_error() || matches!(status.as_u16(), 408 | 429),
            Self::Stalled { .. } | Self::Connection { .. } => true,
            _ => false,
        }
    }

    /// How long the hub asked to be left alone.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Status { wait, .. } => *wait,
            _ => None,
        }
    }

    /// The error with its exit code and hint.
    pub(in super::super) fn explained<T>(self) -> anyhow::Result<T> {
        let hint = self.hint();
        let user = matches!(
            self,
            Self::Gated { .. }
                | Self::Refused { .. }
                | Self::Missing { .. }
                | Self::OtherContents { .. }
                | Self::Write { .. }
        );
        let error = match user {
            true => Err(self).blame_user(),
            false => Err(self.into()),
        };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Gated { page, .. } => {
                format!("accept the licence at {page}, then set HF_TOKEN to a token of that account")
            }
            Self::Refused { page, .. } => format!(
                "look at {page}: accept the licence there if it asks, and set HF_TOKEN to a token that may read it"
            ),
            Self::Missing { .. } => {
                "compare `repository`, `revision` and `path` of the lock file with the hub".to_owned()
            }
            Self::OtherContents { .. } => {
                "the file was changed on the hub, or the digest is wrong: set `revision` to the commit that is meant, or take the digest out to have it computed anew".to_owned()
            }
            Self::Damaged { .. } => "nothing of it was kept: run the command again".to_owned(),
            Self::Status { status, .. } if status.as_u16() == 429 => {
                "too many requests: wait a while, and set HF_TOKEN, which raises the limit".to_owned()
            }
            Self::Status { .. } | Self::Stalled { .. } | Self::Connection { .. } => {
                "run the command again: it goes on where it stopped; --offline uses what is in the cache".to_owned()
            }
            Self::Answer { .. } => "is HF_ENDPOINT the address of a hub?".to_owned(),
            Self::Write { .. } => "is there space left? --cache takes another folder".to_owned(),
            Self::Interrupted => return None,
        })
    }
}
