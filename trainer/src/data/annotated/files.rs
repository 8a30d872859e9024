//! Files below a folder or in an object store, read the same way.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use glass_dataset::{Store, StoreOptions};
use glass_schemas::spec::StoreSpec;
use tokio::runtime::Handle;

use super::error::{DataError, Result};

/// Objects of a store asked for at once.
const CONCURRENT: usize = 32;

/// How object stores are reached.
#[derive(Clone)]
pub struct Access {
    /// Endpoint, credentials, patience.
    pub options: StoreOptions,
    /// Where their answers are waited for; only folders of this machine can be read without.
    pub runtime: Option<Handle>,
}

impl Access {
    /// As the `[store]` table says; stores are waited for in the runtime that this is called from.
    pub fn of(store: &StoreSpec) -> Self {
        Self { options: StoreOptions::from(store), runtime: Handle::try_current().ok() }
    }

    /// This machine's folders only.
    pub fn local() -> Self {
        Self { options: StoreOptions::default(), runtime: None }
    }
}

/// Where files are. Reading blocks: not to be called from a task of the runtime.
#[derive(Clone, Debug)]
pub enum Files {
    /// A folder of this machine.
    Folder(PathBuf),
    /// An object store.
    Store(Store, Handle),
}

impl Files {
    /// A folder, or what a URI names.
    ///
    /// # Errors
    /// [`DataError::Store`]; [`DataError::Format`] for a URI where no runtime waits for stores.
    pub fn open(uri: &str, access: &Access) -> Result<Self> {
        if !uri.contains("://") {
            return Ok(Self::Folder(if uri.is_empty() { ".".into() } else { uri.into() }));
        }
        let Some(runtime) = &access.runtime else {
            return Err(DataError::Format {
                uri: uri.to_owned(),
                problem: "is an object store, which cannot be reached from here".into(),
                hint: "copy it to a folder".into(),
            });
        };
        Ok(Self::Store(Store::open(uri, &access.options)?, runtime.clone()))
    }

    /// A file and the folder it lies in.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn of_file(uri: &str, access: &Access) -> Result<(Self, String)> {
        let (folder, name) = uri.rsplit_once('/').unwrap_or(("", uri));
        let folder = if folder.is_empty() && uri.starts_with('/') { "/" } else { folder };
        Ok((Self::open(folder, access)?, name.to_owned()))
    }

    /// The same place, deeper.
    #[must_use]
    pub fn below(&self, folder: &str) -> Self {
        match self {
            _ if folder.is_empty() => self.clone(),
            Self::Folder(path) => Self::Folder(path.join(folder)),
            Self::Store(store, runtime) => Self::Store(store.below(folder), runtime.clone()),
        }
    }

    /// What to call a file in messages.
    pub fn name(&self, key: &str) -> PathBuf {
        match self {
            Self::Folder(path) if key.is_empty() => path.clone(),
            Self::Folder(path) => path.join(key),
            Self::Store(store, _) => Path::new(store.uri()).join(key),
        }
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`DataError::File`], [`DataError::Store`].
    pub fn read(&self, key: &str) -> Result<Bytes> {
        match self {
            Self::Folder(_) => {
                let path = self.name(key);
                std::fs::read(&path).map(Bytes::from).map_err(DataError::read(&path))
            }
            Self::Store(store, runtime) => Ok(runtime.block_on(store.get(key))?),
        }
    }

    /// The first bytes of files of known sizes, in order; fewer where a file is shorter. A file that cannot be read
    /// is an error of its own.
    pub fn heads(&self, files: &[(String, u64)], bytes: u64) -> Vec<Result<Bytes>> {
        match self {
            Self::Folder(_) => files.iter().map(|(key, _)| self.head(key, bytes)).collect(),
            Self::Store(store, runtime) => {
                let head =
                    |(key, size): (String, u64)| async move { Ok(store.get_range(&key, 0..bytes.min(size)).await?) };
                runtime.block_on(futures::stream::iter(files.iter().cloned().map(head)).buffered(CONCURRENT).collect())
            }
        }
    }

    fn head(&self, key: &str, bytes: u64) -> Result<Bytes> {
        let path = self.name(key);
        let file = std::fs::File::open(&path).map_err(DataError::read(&path))?;
        let mut head = Vec::new();
        file.take(bytes).read_to_end(&mut head).map_err(DataError::read(&path))?;
        Ok(head.into())
    }

    /// Every file below `folder`, by its key from there, with its size.
    ///
    /// # Errors
    /// [`DataError::File`] where there is no such folder, [`DataError::Store`].
    pub fn list(&self, folder: &str) -> Result<BTreeMap<String, u64>> {
        let place = self.below(folder);
        match &place {
            Self::Folder(path) => {
                let mut found = BTreeMap::new();
                walk(path, "", &mut found)?;
                Ok(found)
            }
            Self::Store(store, runtime) => {
                let entries = store.list("").map_ok(|entry| (entry.key, entry.bytes));
                Ok(runtime.block_on(entries.try_collect())?)
            }
        }
    }

    /// Names of the folders and files directly below `folder`; empty where there is none.
    ///
    /// # Errors
    /// [`DataError::File`], [`DataError::Store`].
    pub fn names(&self, folder: &str) -> Result<Vec<String>> {
        let place = self.below(folder);
        let mut names = match &place {
            Self::Folder(path) if !path.is_dir() => Vec::new(),
            Self::Folder(path) => {
                let entries = std::fs::read_dir(path).map_err(DataError::read(path))?;
                entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
            }
            Self::Store(store, runtime) => {
                let mut names = runtime.block_on(store.list_folders(""))?;
                // Files beside the folders: a store lists everything below, so only the first names are taken.
                let files = store.list("").map_ok(|entry| entry.key).take(NAMES);
                let files: Vec<String> = runtime.block_on(files.try_collect())?;
                names.extend(files.into_iter().filter(|key| !key.contains('/')));
                names
            }
        };
        names.sort();
        Ok(names)
    }
}

/// Objects of a store looked at for the names of files directly below a folder.
const NAMES: usize = 10_000;

fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, u64>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(DataError::read(folder))? {
        let entry = entry.map_err(DataError::read(folder))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        // Followed where it is a link: data is often linked into place.
        let Ok(meta) = std::fs::metadata(entry.path()) else { continue };
        if meta.is_dir() {
            walk(&entry.path(), &key, found)?;
        } else {
            found.insert(key, meta.len());
        }
    }
    Ok(())
}
