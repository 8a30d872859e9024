//! A checkpoint in several files.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use glass_stage::Explain;
use serde::Serialize;

use super::super::fetch::named_by;
use super::{names, one};

/// `*.safetensors.index.json`.
#[derive(Serialize)]
struct Index {
    metadata: Metadata,
    weight_map: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Metadata {
    total_size: u64,
}

/// Converts the shards that an index names, then writes the index of what came out.
pub(super) fn convert(index: &Path, output: &Path, key: Option<&str>) -> anyhow::Result<()> {
    let (from, to) = (folder_of(index), folder_of(output));
    let mut weight_map = BTreeMap::new();
    let mut total_size = 0;
    for (shard, expected) in named_by(index, "")? {
        let converted = names::converted(&shard);
        let target = to.join(&converted);
        let tensors = one(&from.join(&shard), &target, key)?;
        if let Some(missing) = expected.iter().find(|name| tensors.binary_search(name).is_err()) {
            let shard = from.join(shard);
            return Err(anyhow::anyhow!("tensor `{missing}` is not in `{}`", shard.display()))
                .blame_user()
                .hint("index and shards must be of the same checkpoint");
        }
        total_size += std::fs::metadata(&target)?.len();
        weight_map.extend(tensors.into_iter().map(|tensor| (tensor, converted.clone())));
    }
    let text = serde_json::to_string_pretty(&Index { metadata: Metadata { total_size }, weight_map })?;
    std::fs::write(output, text).with_context(|| format!("cannot write `{}`", output.display())).blame_user()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
