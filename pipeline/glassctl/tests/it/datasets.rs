//! The commands that look at a store, on one that is as it should be.

use crate::support::datasets::{Shelf, add_round, mended, other_captions, other_masks};
use crate::support::snapshot::check;

#[tokio::test]
async fn status_of_every_dataset() {
    let shelf = Shelf::new().await;
    check("status", &shelf.run(&["status"]), shelf.root());
    check("status-json", &shelf.run(&["status", "masks", "--json"]), shelf.root());
}

#[tokio::test]
async fn a_dataset_that_does_not_exist_is_the_users_to_mend() {
    let shelf = Shelf::new().await;
    shelf.run(&["status", "masks-0123456789abcdef"]).says(1, &["there is no dataset", "hint: "]);
    shelf.run(&["status", "attention"]).says(1, &["holds no attention dataset", "hint: "]);
    shelf.run(&["status", "mask"]).says(1, &["`mask` is not a dataset id"]);
}

#[tokio::test]
async fn what_failed_and_what_of_it_is_asked_for() {
    let shelf = Shelf::new().await;
    check("failed", &shelf.run(&["failed"]), shelf.root());
    let some = ["failed", "captions", "--where", "class=unreadable", "--where", "item=0*1.jpg", "--json"];
    check("failed-json", &shelf.run(&some), shelf.root());
    shelf.run(&["failed", "--where", "colour=red"]).says(1, &["none of stage, shard"]);
}

#[tokio::test]
async fn a_whole_dataset_is_right_and_one_under_way_is_not() {
    let shelf = Shelf::new().await;
    check("verify", &shelf.run(&["verify", "generations"]), shelf.root());
    check("verify-under-way", &shelf.run(&["verify"]), shelf.root());
    check("verify-json", &shelf.run(&["verify", "captions", "--json"]), shelf.root());
}

#[tokio::test]
async fn garbage_is_shown_before_it_is_removed() {
    let shelf = Shelf::new().await;
    check("gc-nothing", &shelf.run(&["gc"]), shelf.root());
    for name in [
        "data/00000-00000000-0000000000000000.parquet",
        "data/00002-00000000-0000000000000001.parquet",
        "commits/00002.json#3",
    ] {
        std::fs::write(shelf.path(&shelf.masks, name), "dead").unwrap();
    }
    shelf.run(&["gc"]).says(0, &["0 objects"]);
    shelf.age();
    check("gc", &shelf.run(&["gc"]), shelf.root());
    check("gc-json", &shelf.run(&["gc", "masks", "--json"]), shelf.root());
    check("gc-delete", &shelf.run(&["gc", "--delete"]), shelf.root());
    check("gc-nothing", &shelf.run(&["gc"]), shelf.root());
    shelf.run(&["gc", "--older-than", "10m"]).says(1, &["at least `1h`"]);
}

#[tokio::test]
async fn masks_and_captions_are_compared_sample_by_sample() {
    let shelf = Shelf::new().await;
    let masks = other_masks(&shelf).await;
    let pair = [shelf.masks.id().to_string(), masks.id().to_string()];
    check("diff-masks", &shelf.run(&["diff", &pair[0], &pair[1]]), shelf.root());
    check("diff-masks-json", &shelf.run(&["diff", &pair[0], &pair[1], "--json"]), shelf.root());
    shelf.run(&["diff", &pair[0], &pair[0]]).says(0, &["agreement 1.0000", "0 of 6 masks differ"]);
    let captions = other_captions(&shelf).await;
    let pair = [shelf.captions.id().to_string(), captions.id().to_string()];
    check("diff-captions", &shelf.run(&["diff", &pair[0], &pair[1]]), shelf.root());
    check("diff-captions-json", &shelf.run(&["diff", &pair[0], &pair[1], "--json"]), shelf.root());
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused() {
    let shelf = Shelf::new().await;
    shelf.run(&["diff", "masks", "captions"]).says(1, &["of different kinds"]);
    shelf.run(&["diff", "generations", "generations"]).says(1, &["cannot be compared", "hint: "]);
}

#[tokio::test]
async fn a_round_of_retries_counts_with_its_shard() {
    let shelf = Shelf::new().await;
    let (caption, drawing) = mended(0);
    add_round(&shelf.captions, 0, &[caption], &[]).await;
    shelf.run(&["verify", "captions"]).says(0, &["10 rows, 2 quarantined"]);
    shelf.run(&["status", "captions", "--json"]).says(0, &["\"rows\": 10", "\"quarantined\": 2"]);
    shelf.run(&["failed", "captions", "--where", "shard=0"]).says(0, &[]);
    // What is drawn of it is still to come.
    shelf.run(&["verify", "generations"]).says(1, &["neither committed nor quarantined", "glassctl retry"]);
    add_round(&shelf.generations, 0, &[drawing], &[]).await;
    shelf.run(&["verify", "generations"]).says(0, &["10 rows"]);
    shelf.run(&["inspect", &mended(0).1.sample_id.to_string()]).says(0, &["00000 row 3"]);
}

#[tokio::test]
async fn a_round_that_is_wrong_is_found() {
    let shelf = Shelf::new().await;
    let (caption, _) = mended(0);
    add_round(&shelf.captions, 0, std::slice::from_ref(&caption), &[]).await;
    add_round(&shelf.captions, 0, &[caption], &[]).await;
    shelf.run(&["verify", "captions"]).says(1, &["`003.jpg` is there twice"]);
    let first = shelf.path(&shelf.captions, "retries/00000-1.json");
    std::fs::rename(&first, first.with_file_name("00001-1.json")).unwrap();
    shelf.run(&["verify", "captions"]).says(1, &["says that it is of shard 00000", "the round before it is missing"]);
}
