//! Files that a process was writing when it died.

use std::path::{Path as File, PathBuf};
use std::time::UNIX_EPOCH;

use super::{Disk, Entry, Store};

impl Store {
    /// The files below `prefix` on this machine's disk that were being written and that no listing
    /// shows: the store writes `name#1` and moves it to `name`. A store elsewhere has none.
    pub(crate) fn unfinished_files(&self, prefix: &str) -> Vec<(PathBuf, Entry)> {
        if self.disk == Disk::Elsewhere {
            return Vec::new();
        }
        let folder = PathBuf::from(format!("/{}", self.path(prefix)));
        let mut found = Vec::new();
        walk(&folder, &mut |file, metadata| {
            let below = file.strip_prefix(&folder).unwrap_or(file).display();
            let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let entry = Entry {
                key: format!("{prefix}/{below}"),
                bytes: metadata.len(),
                modified: modified.map_or(i64::MAX, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX)),
            };
            found.push((file.to_owned(), entry));
        });
        found
    }
}

/// Calls `found` for every unfinished file; folders that cannot be read are passed over.
fn walk(folder: &File, found: &mut impl FnMut(&File, &std::fs::Metadata)) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => walk(&path, found),
            Ok(metadata) if metadata.is_file() && is_unfinished(&path) => found(&path, &metadata),
            _ => {}
        }
    }
}

fn is_unfinished(path: &File) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
