//! What is said and drawn of samples.

use glass_dataset::Columns;
use glass_schemas::dataset::{GenerationRow, QuarantineRow, Row};
use glass_schemas::ids::{Digest, SampleId, ShardIndex};

use crate::support::datasets::{Shelf, other_masks};
use crate::support::snapshot::check;

/// The sides of the shelf's pictures, and the gap between pictures.
const SIDE: u32 = 8;
const GAP: u32 = 4;

async fn drawing(shelf: &Shelf, shard: u32) -> GenerationRow {
    let batches = shelf.generations.read_shard(ShardIndex(shard), Columns::All).await.unwrap();
    GenerationRow::decode(&batches[0]).unwrap().swap_remove(1)
}

fn open(shelf: &Shelf, name: &str) -> image::RgbImage {
    image::open(shelf.root().join(name)).unwrap().to_rgb8()
}

#[tokio::test]
async fn a_sample_is_told_from_the_picture_or_from_its_source() {
    let shelf = Shelf::new().await;
    let row = drawing(&shelf, 0).await;
    let drawn = shelf.run(&["inspect", &row.sample_id.to_string()]);
    check("inspect", &drawn, shelf.root());
    let source = shelf.run(&["inspect", &row.source_id.to_string()]);
    let body = |text: &str| text.split_once("\n\n").unwrap().1.to_owned();
    assert_eq!(body(&source.stdout), body(&drawn.stdout));
    let json = shelf.run(&["inspect", &row.sample_id.to_string(), "--json"]);
    check("inspect-json", &json, shelf.root());
}

#[tokio::test]
async fn a_sample_is_drawn_with_every_mask_and_each_class() {
    let shelf = Shelf::new().await;
    let wider = other_masks(&shelf).await;
    let (row, path) = (drawing(&shelf, 0).await, shelf.root().join("sample.png"));
    let id = row.sample_id.to_string();
    shelf.run(&["inspect", &id, "--picture", path.to_str().unwrap()]).says(0, &["001.jpg"]);
    let picture = open(&shelf, "sample.png");
    // Picture, mask and one class for each of two masks datasets.
    assert_eq!(picture.dimensions(), (3 * SIDE + 2 * GAP, 2 * SIDE + GAP));
    let stored = image::load_from_memory(&row.image.bytes).unwrap().to_rgb8();
    assert_eq!(picture.get_pixel(0, 0), stored.get_pixel(0, 0));
    let masked = |line: u32, column: u32| *picture.get_pixel(SIDE + GAP + column, line * (SIDE + GAP));
    let (class, ground) = (masked(0, 0), masked(0, SIDE - 1));
    assert_ne!(class, ground);
    // One dataset calls three columns the class, the other four; they stand in the order of their ids.
    let mut columns = [3, 4];
    if wider.id() < shelf.masks.id() {
        columns.reverse();
    }
    for (line, columns) in (0..).zip(columns) {
        assert_eq!((masked(line, columns - 1), masked(line, columns)), (class, ground));
    }
}

#[tokio::test]
async fn what_is_known_of_a_quarantined_sample_is_that_it_failed() {
    let shelf = Shelf::new().await;
    let rows = shelf.generations.read_shard(ShardIndex(2), Columns::All).await.unwrap();
    let drawn = GenerationRow::decode(&rows[0]).unwrap();
    let failed: Vec<QuarantineRow> = drawn
        .iter()
        .map(|row| QuarantineRow {
            stage: "attention-mask-extractor".to_owned(),
            shard: 2,
            item: row.prompt.clone(),
            sample_id: Some(row.sample_id),
            error_class: "no-mask".to_owned(),
            attempt: 1,
            message: "nothing above\nthe threshold".to_owned(),
            inputs: String::new(),
        })
        .collect();
    crate::support::datasets::write::<glass_schemas::dataset::MaskRow>(&shelf.masks, ShardIndex(2), &[], &failed).await;
    let outcome = shelf.run(&["inspect", &drawn[0].sample_id.to_string()]);
    outcome.says(
        0,
        &["quarantined by attention-mask-extractor", "shard 00002, no-mask, attempt 1: nothing above the threshold"],
    );
}

#[tokio::test]
async fn a_sheet_shows_the_first_samples() {
    let shelf = Shelf::new().await;
    let path = shelf.root().join("sheet.png");
    check("inspect-sheet", &shelf.run(&["inspect", "--count", "5", "--picture", path.to_str().unwrap()]), shelf.root());
    assert_eq!(open(&shelf, "sheet.png").dimensions(), (4 * (2 * SIDE + GAP) + 3 * GAP, 2 * SIDE + GAP));
    check("inspect-sheet-json", &shelf.run(&["inspect", "--count", "1", "--json"]), shelf.root());
    let all = shelf.run(&["inspect", "--dataset", "generations", "--count", "99"]);
    assert_eq!(all.stdout.lines().count(), 9, "{all:?}");
}

#[tokio::test]
async fn what_cannot_be_shown_is_the_users_to_mend() {
    let shelf = Shelf::new().await;
    let nobody = SampleId::of_source(&Digest::of(b"nobody")).to_string();
    shelf.run(&["inspect", &nobody]).says(1, &["no dataset of the store holds", "hint: "]);
    shelf.run(&["inspect", "bus"]).says(1, &["bus"]);
    shelf.run(&["inspect", "--dataset", "captions"]).says(1, &["has no pictures to show", "hint: "]);
}
