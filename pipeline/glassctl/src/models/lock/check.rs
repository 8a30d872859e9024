//! What a lock file may say. Its names become paths and URLs, so they are held to plain ones.

use std::collections::BTreeSet;

use super::{LOCK_VERSION, Lock, LockedFile};

/// What is wrong, and what to do about it.
type Fault = (String, &'static str);

impl Lock {
    /// The first thing that is wrong with this lock file.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.version != LOCK_VERSION {
            let message = format!("`version` is {}, this build reads {LOCK_VERSION}", self.version);
            return Some((message, "use the release that reads it"));
        }
        if !is_repository(&self.repository) {
            let message = format!("`repository` is `{}`", self.repository);
            return Some((message, "write `owner/name` as in the address of its page"));
        }
        if !self.revision.split('/').all(is_plain) {
            let message = format!("`revision` is `{}`", self.revision);
            return Some((message, "write a commit (40 hex digits), a branch or a tag"));
        }
        if self.licence.trim().is_empty() {
            return Some(("`licence` is empty".to_owned(), "name it as the repository does"));
        }
        if self.files.is_empty() {
            return Some(("`files` is empty".to_owned(), "list at least one file"));
        }
        let mut seen = BTreeSet::new();
        self.files.iter().find_map(|file| match seen.insert(&file.path) {
            true => file.fault(),
            false => Some((format!("`{}` is listed twice", file.path), "keep one of them")),
        })
    }
}

impl LockedFile {
    fn fault(&self) -> Option<Fault> {
        if !self.path.split('/').all(is_plain) {
            let message = format!("`path` is `{}`", self.path);
            return Some((message, "write a path inside the repository, e.g. `unet/config.json`"));
        }
        let digest = self.sha256.as_deref()?;
        (!is_hex(digest, 64)).then(|| {
            let message = format!("`sha256` of `{}` is `{digest}`", self.path);
            (message, "write 64 lower-case hex digits, or leave it out to have it computed")
        })
    }
}

/// Whether a revision is a commit, which never changes.
pub(in super::super) fn is_commit(revision: &str) -> bool {
    is_hex(revision, 40)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_repository(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() == 2 && parts.iter().all(|part| is_plain(part))
}

/// One component of a path or URL: no separator, no way up, nothing that needs escaping.
pub(in super::super) fn is_plain(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
}
