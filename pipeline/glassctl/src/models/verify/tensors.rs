//! Weight files against their own headers, and indices against the files they name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use glass_stage::Explain;
use memmap2::Mmap;
use safetensors::SafeTensors;

use super::super::fetch::named_by;
use super::Finding;

/// The names of the tensors of one file, or what is wrong with it.
type Names = Result<BTreeSet<String>, String>;

/// Every safetensors file and index in a folder and the folders in it.
pub(super) fn check(folder: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut files = BTreeMap::new();
    let mut indices = Vec::new();
    for path in list(folder)? {
        if path.ends_with(".safetensors") {
            let names = names(&folder.join(&path));
            files.insert(path, names);
        } else if path.ends_with(".safetensors.index.json") {
            indices.push(path);
        }
    }
    let mut findings: Vec<Finding> = files.iter().map(|(path, names)| file(path, names)).collect();
    for path in indices {
        let verdict = match named_by(&folder.join(&path), &path) {
            Ok(shards) => index(&shards, &files),
            Err(error) => Err(format!("{error:#}")),
        };
        findings.push(Finding { path, verdict });
    }
    Ok(findings)
}

/// Paths of the files in a folder and in the folders in it, as one checkpoint has them.
fn list(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((place, prefix, depth)) = folders.pop() {
        let unreadable = || format!("cannot list `{}`", place.display());
        for entry in std::fs::read_dir(&place).with_context(unreadable).blame_user()? {
            let entry = entry.with_context(unreadable)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true if depth == 0 => folders.push((entry.path(), format!("{name}/"), depth + 1)),
                true => {}
                false => found.push(name),
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the header only; the library checks that it accounts for every byte of the file.
fn names(path: &Path) -> Names {
    let file = File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    #[expect(
        unsafe_code,
        reason = "mapping is unsafe only because another process could cut the file while it is read"
    )]
    // SAFETY: the map is read-only and weights are published files that nobody writes to in place.
    let map = unsafe { Mmap::map(&file) }.map_err(|error| format!("cannot be read: {error}"))?;
    match SafeTensors::read_metadata(&map) {
        Ok((_, metadata)) => Ok(metadata.tensors().into_keys().collect()),
        Err(error) => Err(format!("truncated or damaged, {} bytes: {error}", map.len())),
    }
}

fn file(path: &str, names: &Names) -> Finding {
    let verdict = names.clone().map(|names| format!("{} tensors, all within the file", names.len()));
    Finding { path: path.to_owned(), verdict }
}

fn index(shards: &BTreeMap<String, BTreeSet<String>>, files: &BTreeMap<String, Names>) -> Result<String, String> {
    let mut count = 0;
    for (shard, tensors) in shards {
        let held = match files.get(shard) {
            None => return Err(format!("names `{shard}`, which is missing")),
            Some(Err(_)) => return Err(format!("names `{shard}`, which is damaged")),
            Some(Ok(held)) => held,
        };
        if let Some(tensor) = tensors.iter().find(|tensor| !held.contains(*tensor)) {
            return Err(format!("tensor `{tensor}` is not in `{shard}`"));
        }
        count += tensors.len();
    }
    Ok(format!("{count} tensors in {} shards, all there", shards.len()))
}
