//! The name of a checkpoint by its contents.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{NetsError, Result};

/// The sha256 in hex of everything in a checkpoint folder that a network is made of: weights,
/// configurations, tokenizers, in subfolders too. Moving the folder changes nothing, changing one
/// of these files does; a README or a hidden file does not count.
///
/// It reads every byte, so ask once for a run.
///
/// # Errors
/// When the folder or a file in it cannot be read, or no such file is there.
pub fn folder_digest(folder: impl AsRef<Path>) -> Result<String> {
    let folder = folder.as_ref();
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    if files.is_empty() {
        let error = io::Error::new(io::ErrorKind::NotFound, "no checkpoint file in this folder");
        return Err(NetsError::read(folder)(error));
    }
    let mut digest = Sha256::new();
    for path in files {
        let mut contents = Sha256::new();
        let mut file = File::open(&path).map_err(NetsError::read(&path))?;
        io::copy(&mut file, &mut contents).map_err(NetsError::read(&path))?;
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        digest.update(format!("{name}\n{}\n", hex::encode(contents.finalize())));
    }
    Ok(hex::encode(digest.finalize()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(NetsError::read(folder))?;
    for entry in entries {
        let path = entry.map_err(NetsError::read(folder))?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if is_part_of_a_network(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_part_of_a_network(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let ending = path.extension().map(|ending| ending.to_string_lossy().into_owned());
    let counts = matches!(ending.as_deref(), Some("json" | "txt" | "safetensors" | "bin" | "model"));
    counts && name.is_some_and(|name| !name.starts_with('.'))
}
