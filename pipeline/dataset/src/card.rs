//! The card of a dataset: its manifest for people, and for libraries that load it by its folder.
//!
//! The head is the YAML that the Hugging Face hub and its `datasets` library read: it names the objects
//! of the committed shards one by one, so that what a dead attempt left beside them is not loaded.

use std::fmt::Write;

use arrow::datatypes::{DataType, Field};
use glass_schemas::dataset::{AttentionRow, CaptionRow, GenerationRow, MaskRow, Row};
use glass_schemas::ids::DatasetKind;
use glass_schemas::manifest::{Commit, Identity, Manifest};

/// `README.md` of a complete dataset. The same manifest gives the same text.
pub fn card(manifest: &Manifest) -> String {
    [
        head(manifest),
        counts(manifest),
        columns(manifest.identity.id.kind()),
        lineage(&manifest.identity),
        licences(&manifest.identity),
        example(manifest),
    ]
    .join("\n")
}

fn head(manifest: &Manifest) -> String {
    let id = &manifest.identity.id;
    let (rows, bytes) = (manifest.rows, manifest.bytes);
    let mut files = String::new();
    for shard in manifest.shards.iter().filter(|shard| shard.rows > 0) {
        // Writing to a string does not fail.
        let _ = writeln!(files, "    - {}", path(shard));
    }
    format!(
        "---\npretty_name: {id}\nlicense: other\nlicense_name: see-below\ntags:\n- glass\n- {kind}\nsize_categories:\n- {size}\n\
         configs:\n- config_name: default\n  data_files:\n  - split: train\n    path:\n{files}\
         dataset_info:\n  splits:\n  - name: train\n    num_bytes: {bytes}\n    num_examples: {rows}\n  download_size: {bytes}\n---\n",
        kind = id.kind(),
        size = size_category(rows),
    )
}

/// Where a shard's rows are, seen from the dataset's folder.
fn path(shard: &Commit) -> String {
    match &shard.dataset {
        None => shard.data_key.clone(),
        Some(dataset) => format!("../{dataset}/{}", shard.data_key),
    }
}

/// The hub's words for a number of rows.
fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "10M<n<100M",
    }
}

fn counts(manifest: &Manifest) -> String {
    let Manifest { identity, rows, bytes, quarantined, shards } = manifest;
    let what = match identity.id.kind() {
        DatasetKind::Captions => "Captions of real images, with the classes they name and the prompts made of them.",
        DatasetKind::Generations => "Images drawn from prompts by Stable Diffusion, with their clean latents.",
        DatasetKind::Attention => "Attention means of the images drawn in the same pass, from which masks are derived.",
        DatasetKind::Masks => "Pseudo-masks of drawn images: a pixel is a class's number, 0 the ground, 255 uncertain.",
    };
    format!(
        "# {id}\n\n{what}\n\n| | |\n|---|---|\n| rows | {rows} |\n| shards | {count} |\n| bytes | {bytes} |\n\
         | samples that failed (`quarantine/`) | {quarantined} |\n| coverage | {coverage:.4} |\n\n\
         This is the state when the dataset was complete. Samples that failed and were made since are in the rounds that\n\
         `retries/` names; `glassctl status` counts both.\n",
        id = identity.id,
        count = shards.len(),
        coverage = manifest.coverage(),
    )
}

fn columns(kind: DatasetKind) -> String {
    let fields = match kind {
        DatasetKind::Captions => CaptionRow::fields(),
        DatasetKind::Generations => GenerationRow::fields(),
        DatasetKind::Attention => AttentionRow::fields(),
        DatasetKind::Masks => MaskRow::fields(),
    };
    let mut text = "## Columns\n\n| column | type |\n|---|---|\n".to_owned();
    for field in &fields {
        let _ = writeln!(text, "| `{}` | {} |", field.name(), type_name(field.data_type()));
    }
    text
}

fn type_name(data_type: &DataType) -> String {
    let named = |field: &Field| format!("{}: {}", field.name(), type_name(field.data_type()));
    match data_type {
        DataType::Utf8 => "text".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::List(element) | DataType::LargeList(element) => {
            format!("list of {}", type_name(element.data_type()))
        }
        DataType::Struct(fields) if fields.iter().any(|field| *field.data_type() == DataType::Binary) => {
            let path = fields.iter().any(|field| field.name() == "path");
            if path && fields.len() == 2 {
                "image (encoded file)".to_owned()
            } else {
                fields_of(fields.iter().map(|f| named(f)))
            }
        }
        DataType::Struct(fields) => fields_of(fields.iter().map(|field| named(field))),
        other => other.to_string().to_lowercase(),
    }
}

fn fields_of(fields: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

fn lineage(identity: &Identity) -> String {
    let mut text = format!(
        "## How it was made\n\nBy the stage `{}`, run seed {}, table version {}. The name is the hash of this:\n\n",
        identity.stage, identity.run_seed, identity.schema_version
    );
    for upstream in &identity.upstream {
        let _ = writeln!(text, "- made from `{upstream}`");
    }
    for (role, digest) in &identity.weights {
        let _ = writeln!(text, "- {role}: `{digest}` (sha256)");
    }
    let spec = serde_json::to_string_pretty(&identity.spec).unwrap_or_default();
    let _ = write!(text, "\n```json\n{spec}\n```\n");
    text
}

fn licences(identity: &Identity) -> String {
    let mut text = "## Licences\n\n".to_owned();
    for (role, licence) in &identity.licences {
        let _ = writeln!(text, "- {role}: {licence}");
    }
    if identity.licences.is_empty() {
        text.push_str("None was stated when it was made.\n");
    }
    text.push_str(
        "\nWhat was made with a checkpoint or from an image is bound by that checkpoint's and that image's licence.\n",
    );
    text
}

fn example(manifest: &Manifest) -> String {
    let id = &manifest.identity.id;
    let shown = match id.kind() {
        DatasetKind::Captions => "print(rows[0][\"caption\"], rows[0][\"classes\"])",
        DatasetKind::Generations => "rows[0][\"image\"].save(\"image.png\")",
        DatasetKind::Attention => "print(rows[0][\"sample_id\"], len(rows[0][\"maps\"]))",
        DatasetKind::Masks => "rows[0][\"mask\"].save(\"mask.png\")",
    };
    format!(
        "## Load it\n\n```python\nimport json\nfrom pathlib import Path\nfrom datasets import load_dataset\n\n\
         folder = Path(\"{path}\")\nshards = json.loads((folder / \"MANIFEST.json\").read_text())[\"shards\"]\n\
         files = [str(folder.parent / shard.get(\"dataset\", folder.name) / shard[\"data_key\"]) for shard in shards]\n\
         rows = load_dataset(\"parquet\", data_files=files, split=\"train\")\n{shown}\n```\n",
        path = id.path(),
    )
}
