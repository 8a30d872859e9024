//! The files that an index of weights names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use glass_stage::Explain;
use serde::Deserialize;

use super::super::lock::is_plain;

/// The part of an index that says which file holds which tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The tensors of each shard that the index at `file` names; `path` is the index's path in its
/// repository or folder, and the shards' paths are beside it.
pub(in super::super) fn named_by(file: &Path, path: &str) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let read = || -> anyhow::Result<Index> { Ok(serde_json::from_slice(&std::fs::read(file)?)?) };
    let index = read().with_context(|| format!("cannot use the index `{}`", file.display()));
    let index = index.blame_user().hint("fetch the file again and compare its sha256")?;
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut shards: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, shard) in index.weight_map {
        if !is_plain(&shard) {
            let message = format!("the index `{}` names `{shard}`", file.display());
            return Err(anyhow::anyhow!(message)).blame_user().hint("an index may only name files beside it");
        }
        shards.entry(format!("{folder}{shard}")).or_default().insert(tensor);
    }
    Ok(shards)
}
