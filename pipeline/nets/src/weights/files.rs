//! Finding and mapping the files of a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use memmap2::{Mmap, UncheckedAdvice};
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::{NetsError, Result};

/// One mapped safetensors file.
#[derive(Debug)]
pub(super) struct WeightFile {
    pub path: PathBuf,
    map: Mmap,
    metadata: Metadata,
    /// Where the tensors' bytes begin.
    start: usize,
}

/// Where a tensor lies.
#[derive(Debug)]
pub(super) struct Entry {
    /// Index into the list of files.
    pub file: usize,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    begin: usize,
    end: usize,
}

impl WeightFile {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).map_err(NetsError::read(&path))?;
        #[expect(
            unsafe_code,
            reason = "mapping is unsafe only because another process could cut the file while it is read"
        )]
        // SAFETY: the map is read-only and weights are published files that nobody writes to in place.
        let map = unsafe { Mmap::map(&file) }.map_err(NetsError::read(&path))?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| NetsError::Damaged {
            path: path.clone(),
            message: format!("{} bytes: {error}", map.len()),
        })?;
        Ok(Self { start: size_of::<u64>() + header, path, map, metadata })
    }

    /// Gives the pages of a tensor back to the system: a mapped file counts as memory in use for as long
    /// as its pages are resident, so that a checkpoint would be there twice once it is loaded.
    pub(super) fn release(&self, entry: &Entry) {
        #[expect(unsafe_code, reason = "dropping pages is unsafe for memory that was written to")]
        // SAFETY: the map is of a file and read-only, so that dropped pages are read again from the file.
        // A failure costs memory only.
        let _ = unsafe {
            self.map.unchecked_advise_range(
                UncheckedAdvice::DontNeed,
                self.start + entry.begin,
                entry.end - entry.begin,
            )
        };
    }

    /// The bytes of a tensor; safetensors has checked that they lie inside the file.
    pub(super) fn bytes(&self, entry: &Entry) -> &[u8] {
        &self.map[self.start + entry.begin..self.start + entry.end]
    }
}

/// The part of `*.safetensors.index.json` that says which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens the files that hold the weights called `stem`.
pub(super) fn find(folder: &Path, stem: &str) -> Result<Vec<WeightFile>> {
    let single = [format!("{stem}.safetensors"), format!("{stem}.fp16.safetensors")];
    let sharded = [format!("{stem}.safetensors.index.json"), format!("{stem}.safetensors.index.fp16.json")];
    for (single, sharded) in single.iter().zip(&sharded) {
        if exists(&folder.join(single))? {
            return Ok(vec![WeightFile::open(folder.join(single))?]);
        }
        if exists(&folder.join(sharded))? {
            return shards(folder, &folder.join(sharded));
        }
    }
    let tried = single.iter().chain(&sharded).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(NetsError::NoWeights { folder: folder.to_owned(), tried })
}

fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(NetsError::read(path))
}

fn shards(folder: &Path, index_path: &Path) -> Result<Vec<WeightFile>> {
    let damaged = |message: String| NetsError::Damaged { path: index_path.to_owned(), message };
    let text = std::fs::read_to_string(index_path).map_err(NetsError::read(index_path))?;
    let index: Index = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        if !is_plain_name(name) {
            return Err(damaged(format!("`{name}` is not the name of a file in this folder")));
        }
        files.push(WeightFile::open(folder.join(name))?);
    }
    for (tensor, name) in &index.weight_map {
        let file = files.iter().find(|file| file.path.ends_with(name));
        if file.and_then(|file| file.metadata.info(tensor)).is_none() {
            return Err(damaged(format!("tensor `{tensor}` is not in `{name}`")));
        }
    }
    if files.is_empty() {
        return Err(damaged("no file is listed".to_owned()));
    }
    Ok(files)
}

fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// Where each tensor of the files lies, by name.
pub(super) fn entries(files: &[WeightFile]) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    for (file, weights) in files.iter().enumerate() {
        for (name, info) in weights.metadata.tensors() {
            let (begin, end) = info.data_offsets;
            entries.insert(name, Entry { file, dtype: info.dtype, shape: info.shape.clone(), begin, end });
        }
    }
    entries
}

/// The sha256 in hex of one file, or of the lines `sum  name` of several.
pub(super) fn digest(files: &[WeightFile]) -> String {
    let sum = |file: &WeightFile| hex::encode(Sha256::digest(&file.map[..]));
    if let [file] = files {
        return sum(file);
    }
    let mut all = Sha256::new();
    for file in files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        all.update(format!("{}  {name}\n", sum(file)));
    }
    hex::encode(all.finalize())
}
