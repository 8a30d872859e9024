//! What readers in other languages are told.

use glass_schemas::dataset::{AttentionRow, CaptionRow, GenerationRow, MaskRow, QuarantineRow, schema_document};

#[test]
fn the_documents_of_the_tables_are_those_of_the_code() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("arrow");
    for document in [
        schema_document::<CaptionRow>(),
        schema_document::<GenerationRow>(),
        schema_document::<AttentionRow>(),
        schema_document::<MaskRow>(),
        schema_document::<QuarantineRow>(),
    ] {
        let file = folder.join(format!("{}.json", document["kind"].as_str().unwrap()));
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            written,
            format!("{document:#}\n"),
            "write it anew: cargo run --package glass-schemas --example arrow_schemas"
        );
    }
}
