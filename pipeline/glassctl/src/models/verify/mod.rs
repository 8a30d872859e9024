//! `glassctl models verify`.

mod files;
mod tensors;

use std::path::{Path, PathBuf};

use glass_stage::{Context, ExitStatus, Explain};

use super::cache::Repository;
use super::fetch::find_in_cache;
use super::lock::{Lock, Shelf};
use super::settings::Settings;
use crate::output;

/// Compare a checkpoint with its lock file, and its weight files with their own headers
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Reads every byte. Prints a line for each file; exits with 1 if one is not as it should be.
A folder that no lock file describes is checked for truncated files and missing tensors only.

Example:
  glassctl models verify dinov2-base
  glassctl models verify weights/dinov2-base --lock dinov2-base")]
pub struct VerifyArgs {
    /// A lock file's name, whose checkpoint is looked up in the cache, or a folder
    #[arg(value_name = "NAME|FOLDER")]
    pub target: String,
    /// The lock file to compare a folder with, by name or path
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub lock: Option<String>,
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

/// A finding as JSON has it.
#[derive(serde::Serialize)]
struct Checked<'a> {
    path: &'a str,
    right: bool,
    what: &'a str,
}

/// What was found about one file.
struct Finding {
    path: String,
    /// What is right with it, or what is wrong.
    verdict: Result<String, String>,
}

impl Finding {
    fn checked(&self) -> Checked<'_> {
        let (Ok(what) | Err(what)) = &self.verdict;
        Checked { path: &self.path, right: self.verdict.is_ok(), what }
    }
}

/// Checks and prints every file.
pub(super) async fn verify(args: &VerifyArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let (folder, lock) = target(args)?;
    let mut findings = match &lock {
        Some(lock) => match files::compare(&folder, lock, context).await {
            Some(findings) => findings,
            None => return Ok(ExitStatus::Interrupted),
        },
        None => {
            tracing::warn!("no lock file: digests are not compared; name one with --lock");
            Vec::new()
        }
    };
    findings.extend(tensors::check(&folder)?);
    if findings.is_empty() {
        return Err(anyhow::anyhow!("`{}` holds no weights", folder.display()))
            .blame_user()
            .hint("give the folder of a checkpoint, as `glassctl models fetch` prints it");
    }
    let checked: Vec<Checked<'_>> = findings.iter().map(Finding::checked).collect();
    let wrong = checked.iter().filter(|checked| !checked.right).count();
    if args.json {
        output::json(&checked)?;
    } else {
        let line = |it: &Checked<'_>| {
            let verdict = if it.right { "ok   " } else { "WRONG" };
            format!("{verdict}  {}  {}\n", it.path, it.what)
        };
        output::text(&checked.iter().map(line).collect::<String>())?;
    }
    match wrong {
        0 => Ok(ExitStatus::Done),
        _ => Err(anyhow::anyhow!("{wrong} of {} checks failed in `{}`", findings.len(), folder.display()))
            .blame_user()
            .hint("remove what is wrong and fetch it again"),
    }
}

/// The folder to check and the lock to compare it with.
fn target(args: &VerifyArgs) -> anyhow::Result<(PathBuf, Option<Lock>)> {
    let shelf = Shelf::open(args.manifests.as_deref())?;
    let path = Path::new(&args.target);
    if path.is_dir() {
        let lock = match &args.lock {
            Some(name) => Some(shelf.find(name)?.lock),
            None => of_snapshot(path, &shelf),
        };
        return Ok((path.to_owned(), lock));
    }
    let named = shelf.find(&args.target)?;
    let settings = Settings::from_environment(args.cache.as_deref())?;
    let cache = Repository::new(&settings.cache, &named.lock.repository);
    match find_in_cache(&named.lock, &cache) {
        Some(folder) => Ok((folder, Some(named.lock))),
        None => {
            let place = settings.cache.display();
            Err(anyhow::anyhow!("`{}` is not in the cache `{place}`", named.name))
                .blame_user()
                .hint(format!("glassctl models fetch {}", named.name))
        }
    }
}

/// The lock file of a folder of the hub's cache, known by the repository in its path.
fn of_snapshot(folder: &Path, shelf: &Shelf) -> Option<Lock> {
    let folder = folder.canonicalize().ok()?;
    let locks = shelf.all().ok()?;
    let of_folder = |lock: &Lock| {
        let name = format!("models--{}", lock.repository.replace('/', "--"));
        folder.ends_with(Path::new(&name).join("snapshots").join(folder.file_name().unwrap_or_default()))
    };
    locks.into_iter().map(|named| named.lock).find(of_folder)
}
