//! The folder of lock files: finding one by name.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_stage::Explain;

use super::Lock;

/// Where lock files lie in a checkout and beside installed programs.
const FOLDER: &str = "manifests/weights";

/// A lock file and where it came from.
#[derive(Clone, Debug)]
pub(in super::super) struct NamedLock {
    /// The file's name without `.toml`.
    pub(in super::super) name: String,
    pub(in super::super) path: PathBuf,
    pub(in super::super) lock: Lock,
}

/// The lock files that can be asked for by name.
#[derive(Debug)]
pub(in super::super) struct Shelf {
    folder: Option<PathBuf>,
}

impl Shelf {
    /// The folder given, or the first `manifests/weights` in the current folder, beside this
    /// program or above it.
    pub(in super::super) fn open(given: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(folder) = given {
            return match folder.is_dir() {
                true => Ok(Self { folder: Some(folder.to_owned()) }),
                false => Err(anyhow::anyhow!("`{}` is not a folder", folder.display()))
                    .blame_user()
                    .hint("give the folder that holds the lock files with --manifests"),
            };
        }
        let here = std::env::current_dir().ok();
        let program = std::env::current_exe().ok();
        let above = program.iter().flat_map(|file| file.ancestors().skip(1));
        let mut candidates = here.as_deref().into_iter().chain(above).map(|path| path.join(FOLDER));
        Ok(Self { folder: candidates.find(|folder| folder.is_dir()) })
    }

    /// All lock files, by name. One that cannot be read is an error, not an absence.
    pub(in super::super) fn all(&self) -> anyhow::Result<Vec<NamedLock>> {
        let paths = self.paths()?;
        paths.iter().map(|path| named(path)).collect()
    }

    /// The lock file called `name`, or the one at the path `name`.
    pub(in super::super) fn find(&self, name: &str) -> anyhow::Result<NamedLock> {
        if name.ends_with(".toml") || name.contains('/') {
            return named(Path::new(name));
        }
        let paths = self.paths()?;
        match paths.iter().find(|path| stem(path) == name) {
            Some(path) => named(path),
            None => {
                let known: Vec<String> = paths.iter().map(|path| stem(path)).collect();
                Err(anyhow::anyhow!("there is no lock file called `{name}`"))
                    .blame_user()
                    .hint(format!("known: {}; or give the path of a .toml file", known.join(", ")))
            }
        }
    }

    /// Where lock files are looked for by name.
    pub(in super::super) fn folder(&self) -> anyhow::Result<&Path> {
        self.folder
            .as_deref()
            .with_context(|| format!("there is no `{FOLDER}` here or beside this program"))
            .blame_user()
            .hint("give the folder of the lock files with --manifests")
    }

    fn paths(&self) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.folder()?;
        let unreadable = || format!("cannot list `{}`", folder.display());
        let entries = std::fs::read_dir(folder).with_context(unreadable).blame_user()?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.with_context(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }
}

fn named(path: &Path) -> anyhow::Result<NamedLock> {
    Ok(NamedLock { name: stem(path), path: path.to_owned(), lock: Lock::read(path)? })
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
