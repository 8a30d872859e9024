//! Writes `schemas/arrow/*.json`: `cargo run --package glass-schemas --example arrow_schemas`.

use std::path::Path;

use glass_schemas::dataset::{AttentionRow, CaptionRow, GenerationRow, MaskRow, QuarantineRow, schema_document};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("arrow");
    for document in [
        schema_document::<CaptionRow>(),
        schema_document::<GenerationRow>(),
        schema_document::<AttentionRow>(),
        schema_document::<MaskRow>(),
        schema_document::<QuarantineRow>(),
    ] {
        let kind = document["kind"].as_str().unwrap_or_default();
        std::fs::write(folder.join(format!("{kind}.json")), format!("{document:#}\n"))?;
    }
    Ok(())
}
