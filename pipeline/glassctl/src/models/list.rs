//! `glassctl models list`.

use std::path::{Path, PathBuf};

use glass_stage::ExitStatus;

use super::cache::Repository;
use super::fetch::find_in_cache;
use super::lock::{NamedLock, Shelf};
use super::settings::Settings;
use crate::text;

/// Show the lock files, and what of them is in the cache
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Example:\n  glassctl models list")]
pub struct ListArgs {
    /// The hub's cache [default: HF_HUB_CACHE, or hub in HF_HOME]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Folder of the lock files [default: manifests/weights here or beside the programs]
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
}

const HEADS: [&str; 6] = ["name", "network", "cached", "size", "digests", "licence"];

/// Prints a line for each lock file.
pub(super) fn list(args: &ListArgs) -> anyhow::Result<ExitStatus> {
    let shelf = Shelf::open(args.manifests.as_deref())?;
    let settings = Settings::from_environment(args.cache.as_deref())?;
    let locks = shelf.all()?;
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(locks.iter().map(|named| row(named, &settings.cache)));
    print!("{}", text::table(&rows));
    tracing::info!(
        manifests = %shelf.folder()?.display(),
        cache = %settings.cache.display(),
        "looked here"
    );
    Ok(ExitStatus::Done)
}

fn row(named: &NamedLock, cache: &Path) -> [String; 6] {
    let lock = &named.lock;
    let folder = find_in_cache(lock, &Repository::new(cache, &lock.repository));
    let present = |path: &str| Some(folder.as_ref()?.join(path).metadata().ok()?.len());
    let sizes: Vec<u64> = lock.files.iter().filter_map(|file| present(&file.path)).collect();
    let stated: Option<u64> = lock.files.iter().map(|file| file.bytes).sum();
    let pinned = lock.files.iter().filter(|file| file.sha256.is_some()).count();
    let total = lock.files.len();
    let size = match sizes.is_empty() {
        false => text::bytes(sizes.iter().sum()),
        true => stated.map_or("–".to_owned(), text::bytes),
    };
    [
        named.name.clone(),
        lock.kind.name().to_owned(),
        format!("{}/{total}", sizes.len()),
        size,
        format!("{pinned}/{total}"),
        lock.licence.clone(),
    ]
}
