//! Exported files against the datasets they are of.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use glass_dataset::Columns;
use glass_metrics::{Mask, Rle};
use glass_schemas::dataset::{GenerationRow, MaskRow, Row};
use glass_schemas::ids::ShardIndex;
use image::GrayImage;
use serde_json::Value;

use crate::support::Outcome;
use crate::support::datasets::{Shelf, add_round, files, mask_of, write};
use crate::support::snapshot::check;

/// A store and a folder to export to.
struct Export {
    shelf: Shelf,
    folder: tempfile::TempDir,
}

impl Export {
    async fn new() -> Self {
        Self { shelf: Shelf::new().await, folder: tempfile::tempdir().unwrap() }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn run(&self, format: &str, more: &[&str]) -> Outcome {
        let out = self.out();
        let fixed = ["export", "--format", format, "--out", out.to_str().unwrap()];
        self.shelf.run(&[&fixed, more].concat())
    }

    fn json(&self, relative: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.out().join(relative)).unwrap()).unwrap()
    }

    /// What the datasets hold, by sample.
    async fn pairs(&self) -> BTreeMap<String, (GenerationRow, MaskRow)> {
        let mut pairs = BTreeMap::new();
        for shard in self.shelf.masks.committed().await.unwrap() {
            let drawings = rows::<GenerationRow>(&self.shelf.generations, shard).await;
            for mask in rows::<MaskRow>(&self.shelf.masks, shard).await {
                let drawing = drawings.iter().find(|row| row.sample_id == mask.sample_id).unwrap();
                pairs.insert(mask.sample_id.to_string(), (drawing.clone(), mask));
            }
        }
        pairs
    }

    /// Commits the shard of the masks that is missing.
    async fn complete(&self) {
        let drawings = rows::<GenerationRow>(&self.shelf.generations, ShardIndex(2)).await;
        let masks: Vec<MaskRow> = drawings.iter().map(|row| mask_of(row, 5)).collect();
        write(&self.shelf.masks, ShardIndex(2), &masks, &[]).await;
    }

    /// Every file with its bytes.
    fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let out = self.out();
        let name = |path: &Path| path.strip_prefix(&out).unwrap().to_owned();
        files(&out).into_iter().map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
    }
}

async fn rows<R: Row>(dataset: &glass_dataset::Dataset, shard: ShardIndex) -> Vec<R> {
    let batches = dataset.read_shard(shard, Columns::All).await.unwrap();
    batches.iter().flat_map(|batch| R::decode(batch).unwrap()).collect()
}

fn grey(bytes: &[u8]) -> GrayImage {
    image::load_from_memory(bytes).unwrap().to_luma8()
}

fn names(tree: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<&str> {
    tree.keys().map(|path| path.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_shard_that_gained_a_mask_is_exported_again_with_it() {
    let export = Export::new().await;
    let drawings = rows::<GenerationRow>(&export.shelf.generations, ShardIndex(2)).await;
    let masks: Vec<MaskRow> = drawings.iter().map(|row| mask_of(row, 5)).collect();
    write(&export.shelf.masks, ShardIndex(2), &masks[1..], &[]).await;
    export.run("png", &[]).says(0, &["8 samples of 3 shards (3 planned, 3 written now)"]);
    // Its picture lies before the others: a round is read from the shard's start.
    add_round(&export.shelf.masks, 2, &masks[..1], &[]).await;
    export.run("png", &[]).says(0, &["9 samples of 3 shards (3 planned, 1 written now)"]);
    assert_eq!(export.pairs().await.len(), 9);
    export.run("png", &[]).says(0, &["9 samples of 3 shards (3 planned, 0 written now)"]);
}

#[tokio::test]
async fn coco_objects_are_the_pixels_of_the_masks() {
    let export = Export::new().await;
    let outcome = export.run("coco", &[]);
    check("export-coco", &outcome, export.folder.path());
    let (pairs, document) = (export.pairs().await, export.json("annotations/instances.json"));
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), pairs.len());
    assert_eq!(document["categories"], serde_json::json!([{ "id": 6, "name": "bus", "supercategory": "" }]));
    for image in images {
        let file_name = image["file_name"].as_str().unwrap();
        let (drawing, mask) = &pairs[file_name.strip_suffix(".png").unwrap()];
        assert_eq!(std::fs::read(export.out().join("images").join(file_name)).unwrap(), drawing.image.bytes);
        let objects = document["annotations"].as_array().unwrap().iter();
        let objects: Vec<&Value> = objects.filter(|object| object["image_id"] == image["id"]).collect();
        let [object] = objects.as_slice() else { panic!("{objects:?}") };
        let labels = grey(&mask.mask.bytes);
        let (width, height) = (labels.width() as usize, labels.height() as usize);
        assert_eq!(object["segmentation"]["size"], serde_json::json!([height, width]));
        let counts = object["segmentation"]["counts"].as_str().unwrap();
        let decoded = Rle::from_compressed(counts, width, height).unwrap().decode();
        let bits = labels.as_raw().iter().map(|&label| label == 6).collect();
        assert_eq!(decoded, Mask::new(width, height, bits).unwrap());
        assert_eq!(object["area"], decoded.area());
        assert_eq!(object["bbox"], serde_json::json!([0, 0, 3, 8]));
        assert_eq!((&object["category_id"], &object["iscrowd"]), (&6.into(), &0.into()));
    }
}

#[tokio::test]
async fn folders_hold_palette_masks_and_prompts() {
    let export = Export::new().await;
    check("export-png", &export.run("png", &["--json"]), export.folder.path());
    let prompts = export.json("prompts.json");
    for (sample, (drawing, mask)) in export.pairs().await {
        let entry = prompts.as_array().unwrap().iter().find(|entry| entry["filename"] == format!("{sample}.jpg"));
        let expected = serde_json::json!({ "filename": format!("{sample}.jpg"), "caption": drawing.prompt, "class_prompt": "bus" });
        assert_eq!(entry, Some(&expected));
        let picture = std::fs::read(export.out().join(format!("image/{sample}.jpg"))).unwrap();
        assert_eq!(image::guess_format(&picture).unwrap(), image::ImageFormat::Jpeg);
        let file = std::fs::read(export.out().join(format!("mask/{sample}.png"))).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        assert_eq!(reader.info().color_type, png::ColorType::Indexed);
        assert_eq!(reader.info().palette.as_ref().unwrap()[18..21], [0, 128, 128]);
        let mut indices = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut indices).unwrap();
        assert_eq!(indices, grey(&mask.mask.bytes).into_raw());
    }
    assert_eq!(export.json("classes.json"), serde_json::json!([{ "id": 6, "name": "bus" }]));
}

#[tokio::test]
async fn a_tar_holds_the_files_of_each_sample_in_a_row() {
    let export = Export::new().await;
    check("export-webdataset", &export.run("webdataset", &[]), export.folder.path());
    let mut pairs = export.pairs().await;
    for shard in ["00000.tar", "00001.tar"] {
        let mut archive = tar::Archive::new(std::fs::File::open(export.out().join(shard)).unwrap());
        let read = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 0);
            assert!(entry.header().as_ustar().is_some());
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().to_str().unwrap().to_owned(), bytes)
        });
        for files in read.collect::<Vec<_>>().chunks(3) {
            let sample = files[0].0.split('.').next().unwrap();
            let (drawing, mask) = pairs.remove(sample).unwrap();
            assert_eq!(files[0], (format!("{sample}.png"), drawing.image.bytes));
            assert_eq!(files[1], (format!("{sample}.mask.png"), mask.mask.bytes));
            assert_eq!(files[2].0, format!("{sample}.json"));
            let about: Value = serde_json::from_slice(&files[2].1).unwrap();
            assert_eq!(about["prompt"], drawing.prompt);
            assert_eq!(about["classes"], serde_json::json!([{ "id": 6, "name": "bus" }]));
        }
    }
    assert!(pairs.is_empty(), "{pairs:?}");
    let shards = export.json("index.json")["shardlist"].clone();
    assert_eq!(
        shards,
        serde_json::json!([{ "url": "00000.tar", "nsamples": 3 }, { "url": "00001.tar", "nsamples": 3 }])
    );
}

#[tokio::test]
async fn an_export_goes_on_where_it_was_and_gives_the_same_bytes() {
    for format in ["coco", "png", "webdataset"] {
        let (export, other) = (Export::new().await, Export::new().await);
        export.run(format, &[]).says(0, &["6 samples of 2 shards (3 planned, 2 written now)"]);
        let first = export.tree();
        export.run(format, &[]).says(0, &["6 samples of 2 shards (3 planned, 0 written now)"]);
        assert_eq!(export.tree(), first);
        export.complete().await;
        export.run(format, &[]).says(0, &["9 samples of 3 shards (3 planned, 1 written now)"]);
        other.complete().await;
        other.run(format, &[]).says(0, &["9 samples of 3 shards (3 planned, 3 written now)"]);
        assert_eq!(names(&export.tree()), names(&other.tree()));
        assert_eq!(export.tree(), other.tree());
        // What a killed run leaves: a shard without its record, lists of fewer samples, half a file.
        std::fs::remove_file(export.out().join("parts/00001.jsonl")).unwrap();
        std::fs::remove_file(export.out().join("parts/assembled")).unwrap();
        std::fs::write(export.out().join("parts/00001.jsonl.unfinished"), "{\"sample").unwrap();
        export.run(format, &[]).says(0, &["9 samples of 3 shards (3 planned, 1 written now)"]);
        assert_eq!(export.tree(), other.tree());
    }
}

#[tokio::test]
async fn a_folder_with_something_else_is_left_alone() {
    let export = Export::new().await;
    export.run("coco", &[]).says(0, &[]);
    let before = export.tree();
    export.run("webdataset", &[]).says(1, &["holds something else", "hint: give a new folder"]);
    export.run("coco", &["--instances", "classes"]).says(1, &["holds something else"]);
    assert_eq!(export.tree(), before);
    let foreign = export.folder.path().join("notes");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.txt"), "").unwrap();
    let out = foreign.to_str().unwrap();
    export.shelf.run(&["export", "--format", "png", "--out", out]).says(1, &["holds something else"]);
    assert_eq!(files(&foreign).len(), 1);
}

#[tokio::test]
async fn only_masks_whose_shards_are_whole_are_exported() {
    let export = Export::new().await;
    export.run("coco", &["captions"]).says(1, &["is not a masks dataset", "hint: "]);
    let data = export.shelf.data(&export.shelf.generations, 1).await;
    let mut bytes = std::fs::read(&data).unwrap();
    // What no decoder looks at: only the digest tells, when the whole object has passed by.
    bytes[0] ^= 1;
    std::fs::write(&data, bytes).unwrap();
    export.run("webdataset", &[]).says(2, &["damaged"]);
    assert!(export.out().join("00000.tar").exists() && !export.out().join("00001.tar").exists());
}
