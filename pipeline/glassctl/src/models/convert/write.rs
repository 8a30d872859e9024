//! Writing safetensors, one tensor in memory at a time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::cache::make_parent;
use super::checkpoint::Checkpoint;
use super::tensor::Tensor;

/// Writes a checkpoint's tensors; the file has its name once it is whole.
pub(super) fn safetensors(checkpoint: &Checkpoint, output: &Path) -> io::Result<()> {
    make_parent(output)?;
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let fresh = output.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = fill(checkpoint, &fresh).and_then(|()| std::fs::rename(&fresh, output));
    if written.is_err() {
        // What went wrong is what matters, not that the rest could not be removed.
        let _ = std::fs::remove_file(&fresh);
    }
    written
}

fn fill(checkpoint: &Checkpoint, path: &Path) -> io::Result<()> {
    let tensors = in_order(checkpoint);
    let header = header(&tensors)?;
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    for (name, tensor) in tensors {
        let bytes = tensor.read(&checkpoint.file);
        let bytes = bytes.map_err(|error| io::Error::new(error.kind(), format!("tensor `{name}`: {error}")))?;
        out.write_all(&bytes)?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Wide elements first, so that every tensor begins at a multiple of its element's size.
fn in_order(checkpoint: &Checkpoint) -> Vec<(&String, &Tensor)> {
    let mut tensors: Vec<_> = checkpoint.tensors.iter().collect();
    tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.dtype.size()));
    tensors
}

fn header(tensors: &[(&String, &Tensor)]) -> io::Result<Vec<u8>> {
    let mut entries = Map::new();
    // transformers refuses a file that does not say this.
    entries.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut start = 0;
    for (name, tensor) in tensors {
        let end = start + tensor.bytes;
        let entry = json!({ "dtype": tensor.dtype.name(), "shape": tensor.shape, "data_offsets": [start, end] });
        entries.insert((*name).clone(), entry);
        start = end;
    }
    let mut header = serde_json::to_vec(&Value::Object(entries))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}
