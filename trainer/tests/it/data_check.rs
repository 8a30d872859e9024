//! `trainer data check`: what is found, and what is said of broken sets.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::formats::fixtures;

fn check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).args(["data", "check"]).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The report of a sound set.
fn report(arguments: &[&str]) -> Value {
    let output = check(&[arguments, &["--json", "-"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The message on stderr of a broken set, which is the user's error.
fn refused(arguments: &[&str]) -> String {
    let output = check(arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    message
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn every_format_is_told_by_the_names_of_its_release() {
    let sbd = fixtures("sbd");
    for (folder, more, format, images, instances) in [
        ("coco", vec![], "coco", 3, 5),
        ("objects365", vec![], "objects365", 1, 2),
        ("VOCdevkit", vec!["--split", "val"], "voc", 1, 2),
        ("VOCdevkit", vec!["--format", "voc", "--split", "trainaug", "--annotations", text(&sbd)], "voc", 3, 6),
        ("clevrtex", vec![], "clevrtex", 10, 20),
        ("label-maps", vec!["--void", "255"], "label-maps", 1, 2),
        ("parquet", vec!["--split", "val"], "parquet", 3, 6),
    ] {
        let folder = fixtures(folder);
        let report = report(&[&[text(&folder)], more.as_slice()].concat());
        assert_eq!(report["format"], format, "{report}");
        assert_eq!((&report["images"], &report["instances"]), (&json!(images), &json!(instances)), "{report}");
        assert_eq!(report["problems"], json!([]));
    }
}

#[test]
fn a_report_counts_crowds_classes_and_empty_pictures() {
    let report = report(&[text(&fixtures("coco"))]);
    assert_eq!((&report["crowds"], &report["without_objects"]), (&json!(1), &json!(1)));
    let counts: Vec<(&str, u64)> = report["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| (class["name"].as_str().unwrap(), class["instances"].as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [("person", 1), ("car", 2), ("toothbrush", 2)]);
}

#[test]
fn the_contact_sheet_shows_pictures_beside_their_objects() {
    let folder = TempDir::new().unwrap();
    let sheet = folder.path().join("sheet.png");
    let _ = report(&[text(&fixtures("coco")), "--sheet", text(&sheet)]);
    let drawn = image::open(sheet).unwrap().into_rgb8();
    // Three pictures in a row of four, two cells each, 192 pixels and a gap of 4.
    assert_eq!(drawn.dimensions(), (8 * 196 + 4, 196 + 4));
    let cell = |index: u32| image::imageops::crop_imm(&drawn, 4 + index * 196, 4, 192, 192).to_image();
    assert_ne!(cell(0), cell(1), "objects are drawn");
    assert_eq!(cell(4), cell(5), "the third picture has no object");
}

#[test]
fn an_unknown_folder_is_refused_with_what_was_looked_for() {
    let folder = TempDir::new().unwrap();
    let message = refused(&[text(folder.path())]);
    contains(&message, &["instances_<split>.json", "ImageSets/Segmentation", "_flat.png", "--format"]);
    let nowhere = folder.path().join("nowhere");
    contains(&refused(&[text(&nowhere)]), &["cannot read", "nowhere", "hint:"]);
}

#[test]
fn several_sets_are_refused_by_name() {
    let message = refused(&[text(&fixtures("VOCdevkit"))]);
    contains(&message, &["holds several sets", "voc `train`", "voc `val`", "--split"]);
}

/// A copy of a fixture that a test may break.
fn copied(name: &str) -> TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let folder = TempDir::new().unwrap();
    copy(&fixtures(name), folder.path());
    folder
}

/// The COCO fixture with its annotation file changed.
fn changed(change: impl FnOnce(&mut Value)) -> TempDir {
    let folder = copied("coco");
    let path = folder.path().join("annotations/instances_val2017.json");
    let mut document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut document);
    std::fs::write(path, document.to_string()).unwrap();
    folder
}

#[test]
fn faults_of_an_annotation_file_are_named_with_file_field_and_hint() {
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 6] = [
        (|d| d["annotations"][0]["image_id"] = json!(99), &["annotations[0].image_id", "99"]),
        (|d| d["images"][1]["file_name"] = json!("gone.jpg"), &["images[1].file_name", "gone.jpg"]),
        (
            |d| d["annotations"][0]["segmentation"] = json!([[1.0, 1.0, 5.0, 5.0]]),
            &["annotations[0].segmentation", "fewer than three points", "at least three points"],
        ),
        (
            |d| d["annotations"][1]["segmentation"]["counts"] = json!([5, 5]),
            &["annotations[1].segmentation", "covers 10 pixels"],
        ),
        (
            |d| d["annotations"][2]["segmentation"] = json!({"size": [4, 4], "counts": [16]}),
            &["annotations[2].segmentation", "(4, 4)"],
        ),
        (
            |d| {
                d["images"] = json!([]);
                d["annotations"] = json!([]);
            },
            &["`images`", "lists no picture"],
        ),
    ];
    for (change, parts) in cases {
        let folder = changed(change);
        let message = refused(&[text(folder.path())]);
        contains(&message, parts);
        contains(&message, &["instances_val2017.json", "hint:"]);
    }
}

#[test]
fn all_faults_are_reported_not_only_the_first() {
    let folder = changed(|document| {
        document["annotations"][0]["image_id"] = json!(99);
        document["images"][1]["file_name"] = json!("gone.jpg");
        document["annotations"][1]["segmentation"]["counts"] = json!([5, 5]);
    });
    std::fs::write(folder.path().join("val2017/000000000003.jpg"), "no picture").unwrap();
    let output = check(&[text(folder.path()), "--json", "-"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 4, "{report}");
    assert!(problems.iter().all(|problem| problem["file"].is_string()), "{report}");
}

#[test]
fn a_truncated_file_is_refused_by_line() {
    let folder = copied("coco");
    let path = folder.path().join("annotations/instances_val2017.json");
    let text_of = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text_of[..text_of.len() / 2]).unwrap();
    contains(&refused(&[text(folder.path())]), &["instances_val2017.json", "EOF while parsing", "ends too early"]);
}

#[test]
fn a_map_of_another_size_is_refused_by_name() {
    let folder = copied("label-maps");
    let map = image::ImageBuffer::<image::Luma<u8>, _>::from_pixel(20, 20, image::Luma([1]));
    map.save(folder.path().join("classes/a/b.png")).unwrap();
    contains(&refused(&[text(folder.path())]), &["classes/a/b.png", "20×20", "48×36"]);
    map.save(folder.path().join("instances/a/b.png")).unwrap();
    contains(&refused(&[text(folder.path())]), &["images/a/b.png", "48×36", "20×20"]);
}

#[test]
fn classes_that_there_are_not_are_refused_with_their_place() {
    let folder = copied("VOCdevkit");
    let path = folder.path().join("VOC2012/SegmentationClass/2007_000002.png");
    let map = image::ImageBuffer::from_fn(48, 36, |x, y| image::Luma([if (x, y) == (7, 3) { 21_u8 } else { 0 }]));
    map.save(&path).unwrap();
    let message = refused(&[text(folder.path()), "--split", "val"]);
    contains(&message, &["2007_000002.png", "column 7, row 3", "is 21", "0 to 20 and 255"]);
    palette(&path, 9, 4);
    let message = refused(&[text(folder.path()), "--split", "val"]);
    contains(&message, &["2007_000002.png", "has the index 9", "its palette ends at 3"]);
}

/// A palette PNG of one index with so many colours.
fn palette(path: &Path, index: u8, colours: usize) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 48, 36);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(vec![0; 3 * colours]);
    encoder.write_header().unwrap().write_image_data(&vec![index; 48 * 36]).unwrap();
}

#[test]
fn damaged_matlab_files_and_tables_are_refused_by_name() {
    let folder = copied("sbd");
    let path = folder.path().join("dataset/inst/2008_000004.mat");
    let whole = std::fs::read(&path).unwrap();
    for (bytes, problem) in [(&whole[..900], "ends inside an element"), (b"not MATLAB".as_slice(), "no MATLAB 5 file")]
    {
        std::fs::write(&path, bytes).unwrap();
        let voc = fixtures("VOCdevkit");
        let flags = ["--format", "voc", "--split", "trainaug", "--annotations", text(folder.path())];
        contains(&refused(&[&[text(&voc)], flags.as_slice()].concat()), &["2008_000004.mat", problem]);
    }
    let folder = copied("parquet");
    let message = refused(&[text(folder.path()), "--split", "val", "--instance-column", "labels"]);
    contains(&message, &["no column `labels`", "\"mask\""]);
    let path = folder.path().join("data/val-00000-of-00001.parquet");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    contains(
        &refused(&[text(folder.path()), "--split", "val"]),
        &["val-00000-of-00001.parquet", "no readable Parquet"],
    );
}

#[test]
fn converted_maps_of_trainaug_are_read_by_the_lists_they_come_with() {
    let folder = copied("VOCdevkit");
    let root = folder.path().join("VOC2012");
    let list = "/JPEGImages/2007_000001.jpg /SegmentationClassAug/2007_000001.png\n\
                /JPEGImages/2008_000003.jpg /SegmentationClassAug/2008_000003.png\n";
    std::fs::write(root.join("ImageSets/Segmentation/train_aug.txt"), list).unwrap();
    let message = refused(&[text(folder.path()), "--format", "voc", "--split", "trainaug"]);
    contains(&message, &["line 2", "2008_000003", "SegmentationClassAug"]);
    std::fs::create_dir(root.join("SegmentationClassAug")).unwrap();
    std::fs::copy(root.join("SegmentationClass/2007_000002.png"), root.join("SegmentationClassAug/2008_000003.png"))
        .unwrap();
    let report = report(&[text(folder.path()), "--format", "voc", "--split", "trainaug"]);
    // Of a class map alone, each class is an object.
    assert_eq!((&report["images"], &report["instances"]), (&json!(2), &json!(4)));
}

#[test]
fn generated_images_are_read_with_their_pseudo_masks() {
    let folder = crate::command::prepared();
    let store = folder.path().join("store");
    let report = report(&[text(&store)]);
    // One of six pictures has no mask; a mask shows one class and undecided rows.
    assert_eq!(
        (&report["format"], &report["images"], &report["instances"]),
        (&json!("generated"), &json!(5), &json!(5))
    );
    assert_eq!(report["classes"][0]["label"], 3);
    let message = refused(&[text(&store), "--format", "generated", "--annotations", "masks-0000000000000000"]);
    contains(&message, &["masks-0000000000000000"]);
}

#[test]
fn pictures_without_annotations_are_counted_and_decoded() {
    let report = report(&[text(&fixtures("coco/val2017")), "--format", "pictures"]);
    assert_eq!((&report["images"], &report["decoded"], &report["instances"]), (&json!(3), &json!(3), &json!(0)));
}
