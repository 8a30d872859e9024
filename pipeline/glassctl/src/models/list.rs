//! `glassctl models list`.

use std::path::{Path, PathBuf};

use glass_stage::ExitStatus;

use super::cache::Repository;
use super::fetch::find_in_cache;
use super::lock::{NamedLock, Shelf};
use super::settings::Settings;
use crate::{output, text};

/// Show the lock files, and what of them is in the cache
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Example:\n  glassctl models list\n  glassctl models list --json")]
pub struct ListArgs {
    /// The hub's cache [default: HF_HUB_CACHE, or hub in HF_HOME]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Folder of the lock files [default: manifests/weights here or beside the programs]
    #[arg(long, value_name = "DIR")]
    pub manifests: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What there is of one lock file's checkpoint.
#[derive(serde::Serialize)]
struct Line {
    name: String,
    network: String,
    files: usize,
    files_in_cache: usize,
    /// Of the files in the cache; without any, of those whose size the lock file states.
    bytes: Option<u64>,
    files_with_digest: usize,
    licence: String,
}

const HEADS: [&str; 6] = ["name", "network", "cached", "size", "digests", "licence"];

/// Prints a line for each lock file.
pub(super) fn list(args: &ListArgs) -> anyhow::Result<ExitStatus> {
    let shelf = Shelf::open(args.manifests.as_deref())?;
    let settings = Settings::from_environment(args.cache.as_deref())?;
    let locks = shelf.all()?;
    let lines: Vec<Line> = locks.iter().map(|named| line(named, &settings.cache)).collect();
    if args.json {
        output::json(&lines)?;
    } else {
        let mut rows = vec![HEADS.map(str::to_owned)];
        rows.extend(lines.into_iter().map(row));
        output::text(&text::table(&rows))?;
    }
    tracing::info!(
        manifests = %shelf.folder()?.display(),
        cache = %settings.cache.display(),
        "looked here"
    );
    Ok(ExitStatus::Done)
}

fn line(named: &NamedLock, cache: &Path) -> Line {
    let lock = &named.lock;
    let folder = find_in_cache(lock, &Repository::new(cache, &lock.repository));
    let present = |path: &str| Some(folder.as_ref()?.join(path).metadata().ok()?.len());
    let sizes: Vec<u64> = lock.files.iter().filter_map(|file| present(&file.path)).collect();
    let stated: Option<u64> = lock.files.iter().map(|file| file.bytes).sum();
    let pinned = lock.files.iter().filter(|file| file.sha256.is_some()).count();
    Line {
        name: named.name.clone(),
        network: lock.kind.name().to_owned(),
        files: lock.files.len(),
        files_in_cache: sizes.len(),
        bytes: if sizes.is_empty() { stated } else { Some(sizes.iter().sum()) },
        files_with_digest: pinned,
        licence: lock.licence.clone(),
    }
}

fn row(line: Line) -> [String; 6] {
    [
        line.name,
        line.network,
        format!("{}/{}", line.files_in_cache, line.files),
        line.bytes.map_or("–".to_owned(), text::bytes),
        format!("{}/{}", line.files_with_digest, line.files),
        line.licence,
    ]
}
