//! What the cache holds of a checkpoint, without asking the hub.

use std::path::{Path, PathBuf};

use glass_stage::Explain;

use super::super::cache::Repository;
use super::super::lock::{Lock, LockedFile, NamedLock, is_commit};
use super::super::settings::Settings;
use super::shards::named_by;

/// The folder of a checkpoint that must be in the cache.
pub(super) fn folder(named: &NamedLock, settings: &Settings) -> anyhow::Result<PathBuf> {
    let lock = &named.lock;
    let cache = Repository::new(&settings.cache, &lock.repository);
    let Some(folder) = find(lock, &cache) else {
        let message =
            format!("`{}` at `{}` is not in the cache `{}`", lock.repository, lock.revision, settings.cache.display());
        return Err(anyhow::anyhow!(message)).blame_user().hint(ONLINE);
    };
    let missing = missing(lock, &folder)?;
    match missing.is_empty() {
        true => Ok(folder),
        false => Err(anyhow::anyhow!(
            "`{}` lacks {} of the files of `{}`: {}",
            folder.display(),
            missing.len(),
            named.name,
            missing.join(", ")
        ))
        .blame_user()
        .hint(ONLINE),
    }
}

const ONLINE: &str = "fetch it where the hub can be reached: without --offline and HF_HUB_OFFLINE";

/// The folder of the commit that the lock's revision stands for.
pub(in super::super) fn find(lock: &Lock, cache: &Repository) -> Option<PathBuf> {
    let folder = cache.snapshot(&cache.commit(&lock.revision)?);
    folder.is_dir().then_some(folder)
}

/// The folder of a checkpoint about which nothing is left to ask.
pub(super) fn pinned_and_whole(lock: &Lock, cache: &Repository) -> Option<PathBuf> {
    let settled = |file: &LockedFile| {
        let pinned = file.sha256.is_some() && file.bytes.is_some();
        pinned || (file.optional && cache.is_absent(&lock.revision, &file.path))
    };
    if !is_commit(&lock.revision) || !lock.files.iter().all(settled) {
        return None;
    }
    let folder = find(lock, cache)?;
    missing(lock, &folder).ok()?.is_empty().then_some(folder)
}

/// The files that should be in a snapshot and are not, or not in full.
fn missing(lock: &Lock, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut missing = Vec::new();
    for file in &lock.files {
        let path = folder.join(&file.path);
        match path.metadata() {
            Ok(found) if file.bytes.is_none_or(|bytes| found.len() == bytes) => {
                if file.path.ends_with(".index.json") {
                    let shards = named_by(&path, &file.path)?.into_keys();
                    missing.extend(shards.filter(|shard| !folder.join(shard).exists()));
                }
            }
            // The network loads without it.
            Err(_) if file.optional => {}
            _ => missing.push(file.path.clone()),
        }
    }
    missing.sort();
    missing.dedup();
    Ok(missing)
}
