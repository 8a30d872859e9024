//! `trainer evaluate --masks`: masks made elsewhere, in every form, and what bad ones give.

use std::process::Command;

use image::{GrayImage, ImageBuffer, Luma};
use serde_json::{Value, json};

use crate::given_masks::{Case, PIXELS, contains, npy, npz, palette_png, perfect, value};
use crate::toy::SIDE;

#[test]
fn exact_masks_of_every_form_score_one_everywhere() {
    let case = Case::new(3).pngs(3);
    perfect(&case.numbers("", &[]), 3);

    let case = Case::new(3);
    let wide: Vec<u16> = Case::labels(0).iter().map(|&label| 7000 * u16::from(label)).collect();
    ImageBuffer::<Luma<u16>, _>::from_raw(SIDE, SIDE, wide).unwrap().save(case.path("0.png")).unwrap();
    case.write("1.png", &palette_png(&Case::labels(1), SIDE, 10));
    let ids: Vec<u8> = Case::labels(2).iter().flat_map(|&label| (i32::from(label) - 7).to_be_bytes()).collect();
    case.write("2.npy", &npy(">i4", "32, 32", &ids));
    perfect(&case.numbers("", &[]), 3);

    let case = Case::new(3);
    let arrays: Vec<_> = (0..3).map(|index| (index.to_string(), npy("|u1", "32, 32", &Case::labels(index)))).collect();
    case.write("all.npz", &npz(&arrays));
    perfect(&case.numbers("all.npz", &[]), 3);
    case.write("0.npz", &npz(&arrays[..1]));
    let one_hot = |of: [u8; 2]| of.map(|of| Case::labels(1).iter().map(|&label| u8::from(label == of)).collect());
    let stack: [Vec<u8>; 2] = one_hot([5, 9]);
    case.write("1.npy", &npy("|b1", "2, 32, 32", &stack.concat()));
    let scores = |of: u8| Case::labels(2).iter().map(|&label| if label == of { 2.0 } else { -1.0 }).collect();
    let soft: [Vec<f32>; 3] = [0, 5, 9].map(scores);
    let soft: Vec<u8> = soft.concat().iter().flat_map(|value| value.to_le_bytes()).collect();
    case.write("2.npy", &npy("<f4", "3, 32, 32", &soft));
    perfect(&case.numbers("", &[]), 3);
}

#[test]
fn regions_of_a_coco_list_are_painted_best_last_and_the_rest_is_one_segment() {
    let case = Case::new(2);
    let mut results: Vec<Value> = case.data.document["annotations"].as_array().unwrap().clone();
    for result in &mut results {
        result["score"] = json!(0.9);
    }
    results.insert(0, json!({"image_id": 0, "score": 0.1, "segmentation": [[0, 0, 32, 0, 32, 32, 0, 32]]}));
    case.write("results.json", json!(results).to_string().as_bytes());
    perfect(&case.numbers("results.json", &[]), 2);
    results.retain(|result| result["image_id"] == 0);
    case.write("half.json", json!(results).to_string().as_bytes());
    let numbers = case.numbers("half.json", &["--protocol", "spot"]);
    // Nothing was found in the second picture: no object overlaps the ground by half.
    assert_eq!(value(&numbers, "spot", "corloc"), (0.5, 2));
}

#[test]
fn masks_of_the_protocols_size_are_taken_as_they_are() {
    let case = Case::new(1);
    let big: Vec<u8> = (0..320 * 320).map(|at| Case::labels(0)[at / 320 / 10 * 32 + at % 320 / 10]).collect();
    GrayImage::from_raw(320, 320, big).unwrap().save(case.path("0.png")).unwrap();
    let numbers = case.numbers("", &["--protocol", "spot,oclf"]);
    assert_eq!(value(&numbers, "spot", "mbo_i"), (1.0, 1));
    assert_eq!(value(&numbers, "oclf", "miou_c"), (1.0, 1));
    let message = case.refused("", &[]);
    contains(&message, &["320×320", "32×32", "256×256 (glass-release)", "`0.png` (id 0)", "--protocol spot,oclf"]);
}

#[test]
fn soft_masks_on_a_grid_are_brought_to_size_as_those_of_a_model() {
    let case = Case::new(1);
    let grid =
        |of: u8| (0..16 * 16).map(move |at| f32::from(u8::from(Case::labels(0)[at / 16 * 64 + at % 16 * 2] == of)));
    let soft: Vec<u8> = [0, 5, 9].into_iter().flat_map(grid).flat_map(f32::to_le_bytes).collect();
    case.write("0.npy", &npy("<f4", "3, 16, 16", &soft));
    let (mbo, _) = value(&case.numbers("", &["--protocol", "spot"]), "spot", "mbo_i");
    assert!((0.7..1.0).contains(&mbo), "{mbo}");
}

#[test]
fn scores_of_every_image_are_written_as_parquet() {
    let case = Case::new(3).pngs(3);
    let table = case.path("images.parquet");
    case.numbers("", &["--per-image", table.to_str().unwrap()]);
    let rows = glass_trainer::eval::compare::read(&table).unwrap();
    assert_eq!(rows.len(), 3 * 4);
    assert!(rows.iter().all(|row| row.value("mbo_i") == Some(1.0)));
}

#[test]
fn a_picture_without_a_mask_is_named_or_left_out() {
    let case = Case::new(3).pngs(2);
    contains(&case.refused("", &[]), &["`2.png` (id 2)", "is missing", "--missing skip"]);
    perfect(&case.numbers("", &["--missing", "skip"]), 2);
}

#[test]
fn a_mask_of_another_size_is_refused() {
    let case = Case::new(2).pngs(2);
    GrayImage::new(31, 32).save(case.path("1.png")).unwrap();
    contains(&case.refused("", &[]), &["`1.png` (id 1)", "31×32", "32×32", "320×320 (spot)"]);
}

#[test]
fn colours_and_indices_beyond_the_palette_are_refused() {
    let case = Case::new(1);
    image::RgbImage::new(SIDE, SIDE).save(case.path("0.png")).unwrap();
    contains(&case.refused("", &[]), &["0.png", "colours", "one number a pixel"]);
    case.write("0.png", &palette_png(&Case::labels(0), SIDE, 6));
    contains(&case.refused("", &[]), &["0.png", "the index 9", "its palette ends at 5"]);
    case.write("0.png", b"not a picture");
    contains(&case.refused("", &[]), &["0.png", "is no readable PNG"]);
}

#[test]
fn arrays_that_are_no_masks_are_refused() {
    let case = Case::new(1);
    for (bytes, problem) in [
        (npy("<f4", "32, 32", &[0; 4 * PIXELS]), "a single map of floats"),
        (npy("|u1", "32, 31", &[0; PIXELS]), "holds 1024 bytes"),
        (npy("<c8", "32, 32", &[0; 8 * PIXELS]), "values of type `<c8`"),
        (npy("|u1", "1, 32, 32", &[2; PIXELS]), "stack of integers other than 0 and 1"),
        (npy("<f4", "1, 32, 32", &f32::NAN.to_le_bytes().repeat(PIXELS)), "not a number"),
        (npy("<f4", "1, 8, 4", &[0; 4 * 32]), "4×8"),
        (npy("|u1", "1024,", &[0; PIXELS]), "the shape [1024]"),
        (b"PK\x03\x04".to_vec(), "no readable .npy"),
    ] {
        case.write("0.npy", &bytes);
        contains(&case.refused("", &[]), &["0.npy", problem]);
    }
    case.write("all.npz", b"PK\x03\x04 and no end");
    contains(&case.refused("all.npz", &[]), &["all.npz", "truncated"]);
}

#[test]
fn damaged_annotations_are_refused_with_file_and_field() {
    let mut case = Case::new(2).pngs(2);
    let whole = case.data.document.to_string();
    std::fs::write(case.data.instances(), &whole[..whole.len() / 2]).unwrap();
    contains(&case.refused("", &[]), &["instances.json", "EOF while parsing", "ends too early"]);
    let sound = case.data.document.clone();
    for (pointer, damage, parts) in [
        ("/annotations/1/image_id", json!(77), ["annotations[1].image_id", "77"]),
        ("/annotations/1/category_id", json!(77), ["annotations[1].category_id", "77"]),
        ("/annotations/2/segmentation", json!([[1, 1, 9, 9]]), ["annotations[2].segmentation", "fewer than three"]),
        ("/annotations/2/segmentation/counts", json!([5, 9]), ["annotations[2].segmentation", "covers 14 pixels"]),
        ("/annotations/2/segmentation/size", json!([32, 30]), ["annotations[2].segmentation", "covers 1024 pixels"]),
        ("/annotations/2/segmentation", json!("x"), ["`segmentation` is neither", "line 1 column"]),
        ("/images", json!([]), ["`images`", "lists no picture"]),
        ("/images/1/width", json!(0), ["images[1].width", "0 and 32"]),
        ("/images/1/id", json!(0), ["images[1].id", "another image"]),
    ] {
        case.data.document = sound.clone();
        *case.data.document.pointer_mut(pointer).unwrap() = damage;
        case.data.save();
        let message = case.refused("", &[]);
        contains(&message, &parts);
        contains(&message, &["instances.json"]);
    }
}

#[test]
fn wrong_flags_are_refused() {
    let case = Case::new(1).pngs(1);
    contains(&case.refused("", &["--protocol", "spott"]), &["`spott`", "slotdiffusion"]);
    contains(&case.refused("nowhere", &[]), &["nowhere", "is not there"]);
    contains(&case.refused("", &["--per-image", "/nowhere/x.parquet"]), &["/nowhere/x.parquet", "cannot write"]);
    let trainer = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_trainer")).args(args).output().unwrap();
    let without = trainer(&["evaluate", "--masks", "x"]);
    assert_eq!(without.status.code(), Some(1));
    contains(&String::from_utf8_lossy(&without.stderr), &["--annotations"]);
    let neither = trainer(&["evaluate"]);
    assert_eq!(neither.status.code(), Some(1));
    contains(&String::from_utf8_lossy(&neither.stderr), &["--spec"]);
}

#[test]
fn a_table_of_png_files_in_any_order_is_read() {
    use arrow::array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
    let case = Case::new(3).pngs(3);
    let write = |name: &str, order: &[&str]| {
        let names: ArrayRef = std::sync::Arc::new(StringArray::from(order.to_vec()));
        let files = order.iter().map(|stem| std::fs::read(case.path(&format!("{}.png", &stem[..1]))).unwrap());
        let masks: ArrayRef = std::sync::Arc::new(BinaryArray::from_iter_values(files));
        let batch = RecordBatch::try_from_iter([("file_name", names), ("mask", masks)]).unwrap();
        let file = std::fs::File::create(case.path(name)).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    };
    write("masks.parquet", &["2", "0.png", "1"]);
    perfect(&case.numbers("masks.parquet", &[]), 3);
    write("part.parquet", &["2", "0"]);
    contains(&case.refused("part.parquet", &[]), &["part.parquet", "`1.png` (id 1)", "is missing"]);
    perfect(&case.numbers("part.parquet", &["--missing", "skip"]), 2);
    write("twice.parquet", &["0", "0"]);
    contains(&case.refused("twice.parquet", &[]), &["twice.parquet", "row 1", "second time"]);
}
