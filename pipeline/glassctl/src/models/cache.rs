//! The cache of the Hugging Face hub on disk, in the layout that its own tools use.
//!
//! ```text
//! models--owner--name/
//!   blobs/<etag>                     contents; <etag>.incomplete while they arrive
//!   refs/<branch>                    the commit that a branch stood at
//!   snapshots/<commit>/<path>        links to ../../blobs/<etag>
//!   .no_exist/<commit>/<path>        files that the commit is known not to have
//! .locks/models--owner--name/<etag>.lock
//! ```

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::lock::is_commit;

/// A repository's part of the cache.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    root: PathBuf,
    locks: PathBuf,
}

impl Repository {
    pub(super) fn new(cache: &Path, repository: &str) -> Self {
        let folder = format!("models--{}", repository.replace('/', "--"));
        Self { locks: cache.join(".locks").join(&folder), root: cache.join(folder) }
    }

    /// The commit that a revision stands for, as far as this cache knows.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = std::fs::read_to_string(self.root.join("refs").join(revision)).ok()?;
        let commit = text.trim();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// Notes where a branch stands.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> io::Result<()> {
        if is_commit(revision) {
            return Ok(());
        }
        let path = self.root.join("refs").join(revision);
        let fresh = beside(&path)?;
        std::fs::write(&fresh, commit)?;
        std::fs::rename(fresh, path)
    }

    /// The folder of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// Where contents are kept.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Where contents are kept while they arrive.
    pub(super) fn partial(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(format!("{etag}.incomplete"))
    }

    /// The file that one download of these contents at a time holds.
    pub(super) fn lock_file(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Shows contents under a path of a commit.
    pub(super) fn link(&self, commit: &str, path: &str, etag: &str) -> io::Result<()> {
        let link = self.snapshot(commit).join(path);
        // From snapshots/<commit>/a/b it is two steps up to the repository and one for each folder.
        let up = "../".repeat(2 + path.matches('/').count());
        let target = format!("{up}blobs/{etag}");
        if std::fs::read_link(&link).is_ok_and(|found| found == Path::new(&target)) {
            return Ok(());
        }
        let fresh = beside(&link)?;
        symlink(target, &fresh)?;
        std::fs::rename(fresh, link)
    }

    /// Notes that a commit has no such file.
    pub(super) fn note_absent(&self, commit: &str, path: &str) -> io::Result<()> {
        let note = self.absence(commit, path);
        make_parent(&note)?;
        std::fs::write(note, "")
    }

    /// Whether a commit is known to have no such file.
    pub(super) fn is_absent(&self, commit: &str, path: &str) -> bool {
        self.absence(commit, path).is_file()
    }

    fn absence(&self, commit: &str, path: &str) -> PathBuf {
        self.root.join(".no_exist").join(commit).join(path)
    }
}

/// Makes the folder that a file will lie in.
pub(super) fn make_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => std::fs::create_dir_all(parent),
        None => Ok(()),
    }
}

/// A name in the same folder, to be renamed over `path` once it is whole.
fn beside(path: &Path) -> io::Result<PathBuf> {
    make_parent(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}", std::process::id()));
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(fresh),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Repository;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn links_refs_and_absences_are_laid_out_as_the_hub_does() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Repository::new(folder.path(), "owner/name");
        assert_eq!(cache.commit("main"), None);
        cache.write_ref("main", COMMIT).unwrap();
        assert_eq!(cache.commit("main").unwrap(), COMMIT);
        assert_eq!(cache.commit(COMMIT).unwrap(), COMMIT);

        let root = folder.path().join("models--owner--name");
        std::fs::create_dir_all(root.join("blobs")).unwrap();
        for etag in ["old", "new", "new"] {
            std::fs::write(cache.blob(etag), etag).unwrap();
            cache.link(COMMIT, "unet/config.json", etag).unwrap();
        }
        let path = root.join("snapshots").join(COMMIT).join("unet/config.json");
        assert_eq!(std::fs::read_link(&path).unwrap().to_str().unwrap(), "../../../blobs/new");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "new");

        assert!(!cache.is_absent(COMMIT, "a/b"));
        cache.note_absent(COMMIT, "a/b").unwrap();
        assert!(cache.is_absent(COMMIT, "a/b"));
    }
}
