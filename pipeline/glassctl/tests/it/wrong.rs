//! What `glassctl verify` finds when something is wrong.

use std::path::Path;

use glass_schemas::dataset::{CaptionRow, Row};
use glass_schemas::ids::ShardIndex;

use crate::support::datasets::{Shelf, files, write};

fn edit(path: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

fn says(shelf: &Shelf, dataset: &str, texts: &[&str]) {
    shelf.run(&["verify", dataset]).says(1, &[&["WRONG"], texts].concat());
}

#[tokio::test]
async fn a_changed_a_shorter_a_longer_and_a_missing_object() {
    let shelf = Shelf::new().await;
    let data = shelf.data(&shelf.captions, 1).await;
    let sound = std::fs::read(&data).unwrap();
    let name = data.file_name().unwrap().to_str().unwrap().to_owned();
    let mut changed = sound.clone();
    changed[sound.len() / 2] ^= 1;
    std::fs::write(&data, &changed).unwrap();
    says(&shelf, "captions", &[&name, "sha256", "committed"]);
    std::fs::write(&data, &sound[..sound.len() - 7]).unwrap();
    says(&shelf, "captions", &[&name, "bytes, committed"]);
    std::fs::write(&data, [sound.as_slice(), b"more"].concat()).unwrap();
    says(&shelf, "captions", &[&name, "bytes, committed"]);
    std::fs::remove_file(&data).unwrap();
    says(&shelf, "captions", &[&name, "missing"]);
    std::fs::write(&data, &sound).unwrap();
    shelf.run(&["verify", "captions"]).says(0, &["ok "]);
}

#[tokio::test]
async fn a_lost_quarantine_table() {
    let shelf = Shelf::new().await;
    let table = files(&shelf.path(&shelf.captions, "quarantine")).swap_remove(0);
    std::fs::remove_file(&table).unwrap();
    says(&shelf, "captions", &[table.file_name().unwrap().to_str().unwrap(), "missing"]);
}

#[tokio::test]
async fn commits_that_say_what_is_not_so() {
    let shelf = Shelf::new().await;
    let commit = shelf.path(&shelf.captions, "commits/00001.json");
    let sound = std::fs::read(&commit).unwrap();
    for (field, value, expected) in [
        ("rows", 5.into(), "3 rows, committed 5"),
        ("quarantined", 2.into(), "1 samples, committed 2"),
        ("shard", 2.into(), "says that it commits shard 00002"),
        ("attempt", "other".into(), "the commit's attempt writes `data/00001-other.parquet`"),
        ("first_sample", "f".repeat(32).into(), "first or last sample"),
        ("quarantine_key", serde_json::Value::Null, "quarantined in no table"),
    ] {
        edit(&commit, |json| json[field] = value);
        says(&shelf, "captions", &[expected]);
        std::fs::write(&commit, &sound).unwrap();
    }
    std::fs::write(&commit, "{").unwrap();
    says(&shelf, "captions", &["commits/00001.json  cannot be read"]);
    std::fs::remove_file(&commit).unwrap();
    says(&shelf, "captions", &["commits/00001.json  not committed", "lists 3 shards, 2 are committed"]);
}

#[tokio::test]
async fn a_manifest_that_is_missing_or_says_something_else() {
    let shelf = Shelf::new().await;
    let manifest = shelf.path(&shelf.captions, "MANIFEST.json");
    let sound = std::fs::read(&manifest).unwrap();
    edit(&manifest, |json| json["rows"] = 8.into());
    says(&shelf, "captions", &["`rows` is 8, the commits come to 9"]);
    std::fs::write(&manifest, &sound).unwrap();
    edit(&manifest, |json| json["shards"][2]["bytes"] = 1.into());
    says(&shelf, "captions", &["something else of shard 00002"]);
    std::fs::write(&manifest, &sound).unwrap();
    edit(&manifest, |json| json["identity"]["run_seed"] = 8.into());
    says(&shelf, "captions", &["its identity is not that of SPEC.json"]);
    std::fs::remove_file(&manifest).unwrap();
    says(&shelf, "captions", &["missing although every shard is committed"]);
}

#[tokio::test]
async fn an_identity_that_is_not_the_name() {
    let shelf = Shelf::new().await;
    edit(&shelf.path(&shelf.captions, "SPEC.json"), |json| json["spec"]["source"]["limit"] = 9.into());
    says(&shelf, "captions", &["SPEC.json  what it says makes `captions-"]);
}

#[tokio::test]
async fn samples_lost_doubled_and_not_planned() {
    let shelf = Shelf::new().await;
    // The captions of shard 0 are other ones now: what was drawn from them is no longer planned.
    let commit = shelf.path(&shelf.captions, "commits/00000.json");
    let batches = shelf.captions.read_shard(ShardIndex(0), glass_dataset::Columns::All).await.unwrap();
    let mut rows: Vec<CaptionRow> = batches.iter().flat_map(|batch| CaptionRow::decode(batch).unwrap()).collect();
    rows[0].prompt = "something else".to_owned();
    rows[1] = rows[2].clone();
    std::fs::remove_file(&commit).unwrap();
    write(&shelf.captions, ShardIndex(0), &rows, &[]).await;
    says(&shelf, "generations", &["is not planned", "is neither committed nor quarantined"]);
    // And by itself it holds an image twice.
    says(&shelf, "captions", &["`002.jpg` is there twice"]);
}

#[tokio::test]
async fn a_shard_with_too_few_samples() {
    let shelf = Shelf::new().await;
    let commit = shelf.path(&shelf.captions, "commits/00000.json");
    std::fs::remove_file(&commit).unwrap();
    write::<CaptionRow>(&shelf.captions, ShardIndex(0), &[], &[]).await;
    says(&shelf, "captions", &["0 samples, planned 4"]);
}
