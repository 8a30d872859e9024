//! One checkpoint from the hub.

use glass_stage::{Context, Task};

use super::super::cache::{Repository, make_parent};
use super::super::digest;
use super::super::hub::{Download, Hub, HubError, Remote};
use super::super::lock::{Lock, LockedFile, Pin, is_commit};
use super::shards::named_by;

/// The fetch of one checkpoint.
pub(super) struct Session<'a> {
    pub(super) lock: &'a Lock,
    pub(super) cache: &'a Repository,
    pub(super) hub: &'a Hub<'a>,
    pub(super) context: &'a Context,
}

/// What a fetch left in the cache.
pub(super) struct Fetched {
    pub(super) commit: String,
    /// The files that are there, with their digests.
    pub(super) files: Vec<Pin>,
}

/// A file and what the hub says about it.
struct Item<'a> {
    locked: &'a LockedFile,
    remote: Remote,
}

impl Session<'_> {
    /// Brings every file of the lock, and the shards that its indices name.
    pub(super) async fn run(&self) -> Result<Fetched, HubError> {
        let mut fetched = Fetched { commit: self.lock.revision.clone(), files: Vec::new() };
        self.round(&self.lock.files, &mut fetched).await?;
        let shards = self.shards(&fetched)?;
        self.round(&shards, &mut fetched).await?;
        let noted = self.cache.write_ref(&self.lock.revision, &fetched.commit);
        noted.map_err(|source| write("refs", source))?;
        Ok(fetched)
    }

    /// Describes all, then downloads all, so that the display knows the whole length.
    async fn round(&self, files: &[LockedFile], fetched: &mut Fetched) -> Result<(), HubError> {
        let mut items = Vec::new();
        for locked in files {
            if let Some(remote) = self.describe(locked, &fetched.commit).await? {
                // A branch may move on meanwhile; the files are those of one commit.
                fetched.commit.clone_from(&remote.commit);
                items.push(Item { locked, remote });
            }
        }
        let absent = |item: &&Item<'_>| !self.cache.blob(&item.remote.etag).is_file();
        let total: u64 = items.iter().filter(absent).map(|item| item.remote.bytes).sum();
        let task = self.context.progress.task("download", "bytes", total);
        for item in &items {
            fetched.files.push(self.bring(item, &task).await?);
        }
        if total > 0 {
            task.finish();
        }
        Ok(())
    }

    /// None for a file that may be absent and is.
    async fn describe(&self, locked: &LockedFile, revision: &str) -> Result<Option<Remote>, HubError> {
        let remote = match self.hub.describe(revision, &locked.path).await {
            Err(HubError::Missing { .. }) if locked.optional => {
                self.note_absent(revision, &locked.path)?;
                return Ok(None);
            }
            remote => remote?,
        };
        let expected = locked.sha256.as_deref();
        match (expected, remote.stated_sha256()) {
            // Gigabytes need not arrive to tell that they are others.
            (Some(expected), Some(found)) if expected != found => Err(HubError::OtherContents {
                file: locked.path.clone(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            }),
            _ => Ok(Some(remote)),
        }
    }

    /// Lets a later fetch tell "not there" from "not fetched". Only a commit stays as it is.
    fn note_absent(&self, revision: &str, path: &str) -> Result<(), HubError> {
        match is_commit(revision) {
            true => self.cache.note_absent(revision, path).map_err(|source| write(path, source)),
            false => Ok(()),
        }
    }

    /// Makes sure that the cache holds a file, under its name in the snapshot.
    async fn bring(&self, item: &Item<'_>, task: &Task) -> Result<Pin, HubError> {
        let Item { locked, remote } = item;
        let held = self.hold(&remote.etag).await?;
        let blob = self.cache.blob(&remote.etag);
        let sha256 = match self.cached(item).await? {
            Some(sha256) => sha256,
            None => {
                tracing::info!(file = locked.path, bytes = remote.bytes, "downloading");
                let sha256 = locked.sha256.as_deref();
                let download = Download { hub: self.hub, cache: self.cache, remote, sha256, task };
                download.run().await?
            }
        };
        drop(held);
        let linked = self.cache.link(&remote.commit, &locked.path, &remote.etag);
        linked.map_err(|source| write(&blob.display().to_string(), source))?;
        Ok(Pin { path: locked.path.clone(), sha256, bytes: remote.bytes })
    }

    /// The digest of a file that the cache holds already; what is wrong there is removed.
    async fn cached(&self, item: &Item<'_>) -> Result<Option<String>, HubError> {
        let Item { locked, remote } = item;
        let blob = self.cache.blob(&remote.etag);
        let failed = |source| write(&blob.display().to_string(), source);
        let right_size = blob.metadata().is_ok_and(|found| found.len() == remote.bytes);
        if right_size {
            // The digest in the lock was compared with the one that names the blob.
            if let (Some(_), Some(stated)) = (&locked.sha256, remote.stated_sha256()) {
                return Ok(Some(stated.to_owned()));
            }
            let found = digest::of_file(&blob).await.map_err(failed)?.finish();
            let expected = locked.sha256.as_deref().or(remote.stated_sha256());
            if expected.is_none_or(|expected| expected == found) {
                return Ok(Some(found));
            }
        }
        if blob.exists() {
            tracing::warn!(blob = %blob.display(), "damaged in the cache: fetching it again");
            std::fs::remove_file(&blob).map_err(failed)?;
        }
        Ok(None)
    }

    /// Keeps other processes from downloading the same contents, as Hugging Face's tools do.
    async fn hold(&self, etag: &str) -> Result<std::fs::File, HubError> {
        let path = self.cache.lock_file(etag);
        let failed = |source| write(&path.display().to_string(), source);
        make_parent(&path).map_err(failed)?;
        let file = std::fs::File::options().create(true).append(true).open(&path).map_err(failed)?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
                Err(std::fs::TryLockError::WouldBlock) => {}
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!("another process downloads the same file: waiting for it");
            }
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
                () = self.context.stop.wait() => return Err(HubError::Interrupted),
            }
        }
    }

    /// The shards that the fetched indices name and the lock does not list.
    fn shards(&self, fetched: &Fetched) -> Result<Vec<LockedFile>, HubError> {
        let mut shards = Vec::new();
        let indices = fetched.files.iter().filter(|file| file.path.ends_with(".index.json"));
        for index in indices {
            let file = self.cache.snapshot(&fetched.commit).join(&index.path);
            let named = named_by(&file, &index.path)
                .map_err(|error| HubError::Answer { file: index.path.clone(), what: format!("{error:#}") })?;
            let listed = |path: &String| self.lock.files.iter().any(|file| file.path == *path);
            shards.extend(named.into_keys().filter(|path| !listed(path)).map(Lock::shard));
        }
        Ok(shards)
    }
}

fn write(path: &str, source: std::io::Error) -> HubError {
    HubError::Write { path: path.to_owned(), source }
}
