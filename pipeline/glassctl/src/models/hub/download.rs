//! Bringing the contents of one file into the cache.
//!
//! Bytes go to `<etag>.incomplete`, which survives a cut line, a crash and a signal; the next try
//! asks for the rest. The file gets its name only after its digest was compared.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use glass_stage::Task;
use reqwest::{Response, StatusCode};

use super::super::cache::{Repository, make_parent};
use super::super::digest::{self, Running};
use super::answer::range_start;
use super::client::{Hub, Remote};
use super::error::HubError;

/// One file that is to arrive.
pub(in super::super) struct Download<'a> {
    pub(in super::super) hub: &'a Hub<'a>,
    pub(in super::super) cache: &'a Repository,
    pub(in super::super) remote: &'a Remote,
    /// The lock file's digest.
    pub(in super::super) sha256: Option<&'a str>,
    pub(in super::super) task: &'a Task,
}

/// A file that has begun to arrive.
struct Partial {
    path: PathBuf,
    file: File,
    digest: Running,
}

impl Download<'_> {
    /// Downloads what is missing and gives the digest of the whole.
    pub(in super::super) async fn run(&self) -> Result<String, HubError> {
        let path = self.cache.partial(&self.remote.etag);
        let mut partial = Partial::open(&path).await.map_err(write_error(&path))?;
        if partial.digest.bytes() > 0 {
            tracing::info!(file = self.remote.path, bytes = partial.digest.bytes(), "going on");
            self.task.advance(partial.digest.bytes().min(self.remote.bytes));
        }
        let mut resumed = partial.digest.bytes() > 0;
        let mut attempts = self.hub.attempts();
        loop {
            let before = partial.digest.bytes();
            let received = self.receive(&mut partial).await;
            let failed = match received.and_then(|()| self.accept(&mut partial)) {
                Ok(digest) => return Ok(digest),
                Err(error) => error,
            };
            if partial.digest.bytes() > before {
                attempts.progressed();
            }
            if matches!(failed, HubError::Damaged { .. } | HubError::OtherContents { .. }) {
                // What an earlier try left may be what is wrong: once more from the start.
                if std::mem::take(&mut resumed) {
                    tracing::warn!(error = %failed, "starting again");
                    continue;
                }
                std::fs::remove_file(&path).map_err(write_error(&path))?;
            }
            attempts.after(failed).await?;
        }
    }

    /// One try: asks for the rest and writes down what comes.
    async fn receive(&self, partial: &mut Partial) -> Result<(), HubError> {
        let size = self.remote.bytes;
        if partial.digest.bytes() > size {
            partial.restart()?;
        }
        if partial.digest.bytes() == size {
            return Ok(());
        }
        let mut response = self.hub.open(self.remote, partial.digest.bytes()).await?;
        self.position(partial, &response)?;
        let wanted = self.hub.wanted(&self.remote.commit, &self.remote.path);
        loop {
            let chunk = tokio::select! {
                chunk = response.chunk() => chunk,
                () = self.hub.stop.wait() => return Err(HubError::Interrupted),
            };
            let Some(chunk) = chunk.map_err(|error| wanted.broken(error, self.hub.limit))? else {
                break;
            };
            if partial.digest.bytes() + chunk.len() as u64 > size {
                partial.restart()?;
                return Err(wanted.nonsense(format!("more than the {size} bytes that it stated")));
            }
            partial.write(&chunk)?;
            self.task.advance(chunk.len() as u64);
        }
        match partial.digest.bytes() == size {
            true => Ok(()),
            false => Err(HubError::Connection {
                file: self.remote.path.clone(),
                what: "the connection to the hub ended early",
                source: None,
            }),
        }
    }

    /// Makes the file end where the answer begins.
    fn position(&self, partial: &mut Partial, response: &Response) -> Result<(), HubError> {
        let wanted = self.hub.wanted(&self.remote.commit, &self.remote.path);
        match response.status() {
            StatusCode::PARTIAL_CONTENT => match range_start(response.headers()) {
                Some(start) if start == partial.digest.bytes() => Ok(()),
                _ => Err(wanted.nonsense("another part than was asked for")),
            },
            // A server that knows no ranges sends the whole again.
            StatusCode::OK => partial.restart(),
            status => Err(wanted.nonsense(format!("status {status} where the file should be"))),
        }
    }

    /// Compares digests; only what agrees gets its name in the cache.
    fn accept(&self, partial: &mut Partial) -> Result<String, HubError> {
        let found = partial.digest.clone().finish();
        let file = || self.remote.path.clone();
        let damaged = self.remote.stated_sha256().filter(|stated| *stated != found);
        let other = self.sha256.filter(|expected| *expected != found);
        if damaged.is_some() || other.is_some() {
            partial.restart()?;
        }
        if let Some(expected) = damaged {
            return Err(HubError::Damaged { file: file(), expected: expected.to_owned(), found });
        }
        if let Some(expected) = other {
            return Err(HubError::OtherContents { file: file(), expected: expected.to_owned(), found });
        }
        partial.file.sync_all().map_err(write_error(&partial.path))?;
        let blob = self.cache.blob(&self.remote.etag);
        std::fs::rename(&partial.path, &blob).map_err(write_error(&blob))?;
        Ok(found)
    }
}

impl Partial {
    /// Opens what an earlier try left, or begins.
    async fn open(path: &Path) -> io::Result<Self> {
        make_parent(path)?;
        let mut file = File::options().create(true).append(true).read(true).open(path)?;
        let digest = digest::of_file(path).await?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file, digest })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), HubError> {
        self.file.write_all(bytes).map_err(write_error(&self.path))?;
        self.digest.update(bytes);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), HubError> {
        self.digest = Running::default();
        self.file.set_len(0).map_err(write_error(&self.path))
    }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> HubError {
    let path = path.display().to_string();
    move |source| HubError::Write { path, source }
}
