//! `trainer evaluate --masks`: masks made elsewhere, in every form, and what bad ones give.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use image::{GrayImage, ImageBuffer, Luma};
use png::{BitDepth, ColorType, Encoder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::toy::{Data, SIDE};

const PIXELS: usize = (SIDE * SIDE) as usize;

/// Masks beside the toy data, whose objects they hit: label 0 ground, 5 the red square, 9 the blue one.
struct Case {
    data: Data,
    masks: TempDir,
}

impl Case {
    fn new(count: u32) -> Self {
        Self { data: Data::new(count), masks: TempDir::new().unwrap() }
    }

    fn labels(index: u32) -> Vec<u8> {
        let inside = |x, y, [left, top, width, height]: [u32; 4]| {
            (left..left + width).contains(&x) && (top..top + height).contains(&y)
        };
        let (red, blue) = ([2 + index % 5, 3, 12, 12], [18, 16 + index % 3, 10, 10]);
        let label = |(x, y)| if inside(x, y, red) { 5 } else { 9 * u8::from(inside(x, y, blue)) };
        (0..PIXELS as u32).map(|at| label((at % SIDE, at / SIDE))).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.masks.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// 8-bit PNG files of all pictures.
    fn pngs(self, count: u32) -> Self {
        for index in 0..count {
            let picture = GrayImage::from_raw(SIDE, SIDE, Self::labels(index)).unwrap();
            picture.save(self.path(&format!("{index}.png"))).unwrap();
        }
        self
    }

    fn run(&self, masks: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.args(["evaluate", "--json", "-", "--masks"]).arg(masks);
        command.arg("--annotations").arg(self.data.instances()).args(more).output().unwrap()
    }

    fn numbers(&self, masks: &str, more: &[&str]) -> Vec<Value> {
        let output = self.run(&self.path(masks), more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The whole message; the program must have ended with 1 and given a hint.
    fn refused(&self, masks: &str, more: &[&str]) -> String {
        let output = self.run(&self.path(masks), more);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("\nhint: ") && !message.contains("panicked"), "{message}");
        message
    }
}

fn value(numbers: &[Value], protocol: &str, metric: &str) -> (f64, u64) {
    let found = numbers.iter().find(|number| number["protocol"] == protocol && number["metric"] == metric).unwrap();
    (found["value"].as_f64().unwrap(), found["images"].as_u64().unwrap())
}

/// The numbers of exact masks: every metric is 1 in every protocol.
fn perfect(numbers: &[Value], images: u64) {
    assert_eq!(numbers.len(), 4 * 8);
    for protocol in ["glass-release", "spot", "oclf", "slotdiffusion"] {
        for metric in ["miou_i", "miou_c", "mbo_i", "mbo_c", "fg_ari", "ari", "corloc", "object_recovery"] {
            let (value, counted) = value(numbers, protocol, metric);
            assert!((value - 1.0).abs() < 1e-12 && counted == images, "{protocol} {metric}: {value}, {counted}");
        }
    }
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A zip as numpy writes it, every second entry deflated.
fn npz(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (index, (name, data)) in entries.iter().enumerate() {
        let name = format!("{name}.npy");
        let (method, packed) = if index % 2 == 0 {
            (0_u16, data.clone())
        } else {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(data).unwrap();
            (8, encoder.finish().unwrap())
        };
        let start = bytes.len() as u32;
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 8]);
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([entries.len() as u16; 2].map(u16::to_le_bytes).concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// Palette PNG whose palette has `colours` entries.
fn palette_png(labels: &[u8], side: u32, colours: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side, side);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    // Every colour is the same: only indices can tell segments apart.
    encoder.set_palette(vec![128; colours * 3]);
    encoder.write_header().unwrap().write_image_data(labels).unwrap();
    bytes
}

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

/// The scores of exact masks and of masks without the blue square, compared.
#[test]
fn runs_are_compared_image_by_image() {
    let case = Case::new(4).pngs(4);
    let tables = ["exact", "without"].map(|name| case.path(&format!("{name}.parquet")));
    case.numbers("", &["--per-image", tables[0].to_str().unwrap()]);
    for index in 1..4 {
        let labels = Case::labels(index).into_iter().map(|label| label % 9).collect();
        GrayImage::from_raw(SIDE, SIDE, labels).unwrap().save(case.path(&format!("{index}.png"))).unwrap();
    }
    case.numbers("", &["--per-image", tables[1].to_str().unwrap()]);
    let compare = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.arg("compare").args(&tables).args(more).output().unwrap()
    };
    let differences: Vec<Value> = serde_json::from_slice(&compare(&["--json", "-"]).stdout).unwrap();
    assert_eq!(differences.len(), 4 * 8);
    let of = |metric: &str| differences.iter().find(|d| d["protocol"] == "spot" && d["metric"] == metric).unwrap();
    let recovery = of("object_recovery");
    // One of two objects is lost in three of four images.
    assert_eq!(recovery["difference"], json!(-0.375));
    assert_eq!((&recovery["means"], &recovery["images"]), (&json!([1.0, 0.625]), &json!(4)));
    let [low, high] = [0, 1].map(|at| recovery["interval"][at].as_f64().unwrap());
    assert!((-0.5..-0.375).contains(&low) && (-0.375..=0.0).contains(&high), "{low} {high}");
    let named: Vec<&Value> = recovery["largest"].as_array().unwrap().iter().map(|pair| &pair[0]).collect();
    assert_eq!(named, ["1.png", "2.png", "3.png", "0.png"]);
    assert_eq!(of("corloc")["interval"], json!([0.0, 0.0]));
    assert_eq!(compare(&["--json", "-"]).stdout, compare(&["--json", "-"]).stdout);

    let text = String::from_utf8(compare(&["--protocol", "oclf", "--metric", "mbo_i"]).stdout).unwrap();
    assert!(text.starts_with("protocol oclf: ") && text.lines().count() == 3, "{text}");
    // Tables joined by commas are one run: here the mean of both, halfway between them.
    let [exact, without] = tables.each_ref().map(|table| table.to_str().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.args(["compare", exact, &format!("{exact},{without}"), "--json", "-"]);
    command.args(["--protocol", "spot", "--metric", "object_recovery", "--method", "given masks", "--method", "given masks"]);
    let joined: Vec<Value> = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(joined[0]["difference"], json!(-0.1875));

    let three = ["--method", "given masks", "--method", "given masks", "--method", "given masks"];
    for (more, problem) in [
        (&["--method", "nobody"][..], "`given masks`"),
        (&["--protocol", "none"], "in common"),
        (&three, "3 --method for 2 RUN"),
    ] {
        let refused = compare(more);
        assert_eq!(refused.status.code(), Some(1));
        contains(&String::from_utf8_lossy(&refused.stderr), &[problem, "hint: "]);
    }
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

/// The class of every object: 1 for red, 2 for blue.
fn class_masks(case: &Case, count: u32, values: [u8; 2]) {
    for index in 0..count {
        let class = |label| match label {
            5 => values[0],
            9 => values[1],
            other => other,
        };
        let labels = Case::labels(index).into_iter().map(class).collect();
        GrayImage::from_raw(SIDE, SIDE, labels).unwrap().save(case.path(&format!("{index}.png"))).unwrap();
    }
}

fn semantic(numbers: &[Value], metric: &str) -> f64 {
    let found = numbers.iter().find(|number| number["metric"] == metric).unwrap();
    assert_eq!(found["protocol"], "semantic");
    found["value"].as_f64().unwrap()
}

#[test]
fn class_masks_are_judged_class_by_class() {
    let case = Case::new(3);
    class_masks(&case, 3, [1, 2]);
    let level = ["--level", "semantic"];
    let exact = case.numbers("", &level);
    for metric in ["miou", "miou_without_background", "iou/red", "iou/blue", "iou/background", "judged_pixels"] {
        assert_eq!(semantic(&exact, metric), 1.0, "{metric}");
    }
    // In one of three pictures the red square is called blue, in another half of the pixels are undecided.
    class_masks(&case, 1, [2, 2]);
    let mut half = Case::labels(1).iter().map(|&label| [0, 1, 2][usize::from(label / 5 + label / 9)]).collect::<Vec<u8>>();
    assert!(half.contains(&2));
    half[PIXELS / 2..].fill(255);
    GrayImage::from_raw(SIDE, SIDE, half).unwrap().save(case.path("1.png")).unwrap();
    let found = case.numbers("", &level);
    assert_eq!(semantic(&found, "judged_pixels"), 1.0 - 0.5 / 3.0);
    let red = [0, 1, 2].map(|index| Case::labels(index).iter().filter(|&&label| label == 5).count());
    let upper = Case::labels(1)[..PIXELS / 2].iter().filter(|&&label| label == 5).count();
    let expected = (upper + red[2]) as f64 / (red[0] + upper + red[2]) as f64;
    assert!((semantic(&found, "iou/red") - expected).abs() < 1e-12);
    assert_eq!(semantic(&found, "iou/background"), 1.0);
}

#[test]
fn a_class_list_says_which_value_is_which_class() {
    let case = Case::new(2);
    class_masks(&case, 2, [40, 7]);
    let message = case.refused("", &["--level", "semantic"]);
    contains(&message, &["`0.png`", "the value 7", "--classes"]);
    case.write("classes.txt", b"# other numbers\n0 background\n40 Red\n7 blue\n");
    let list = case.path("classes.txt");
    let level = ["--level", "semantic", "--classes", list.to_str().unwrap()];
    assert_eq!(semantic(&case.numbers("", &level), "miou"), 1.0);
    case.write("classes.txt", b"40 green\n");
    contains(&case.refused("", &level), &["line 1", "`green`", "`red`, `blue`"]);
    case.write("classes.txt", b"40 red\n40 blue\n");
    contains(&case.refused("", &level), &["line 2", "a second time"]);
    contains(&case.refused("", &level[2..]), &["--classes", "semantic"]);
    contains(&case.refused("", &["--level", "semantic", "--protocol", "spot"]), &["`--protocol`", "discovery"]);
}

#[test]
fn connected_parts_of_a_class_are_objects() {
    let case = Case::new(3);
    // Both squares are of one class: as one segment they miss each other's object, as parts they are exact.
    class_masks(&case, 3, [1, 1]);
    let (as_classes, _) = value(&case.numbers("", &["--protocol", "spot"]), "spot", "mbo_i");
    assert!(as_classes < 0.7, "{as_classes}");
    perfect(&case.numbers("", &["--level", "components"]), 3);
    // Undecided pixels go to the ground.
    let labels = Case::labels(0).into_iter().map(|label| if label == 0 { 255 } else { 1 }).collect();
    GrayImage::from_raw(SIDE, SIDE, labels).unwrap().save(case.path("0.png")).unwrap();
    perfect(&case.numbers("", &["--level", "components"]), 3);
    let soft: Vec<u8> = [0.5_f32; 2 * 16 * 16].iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::remove_file(case.path("0.png")).unwrap();
    case.write("0.npy", &npy("<f4", "2, 16, 16", &soft));
    contains(&case.refused("", &["--level", "components"]), &["`0.png`", "soft masks"]);
}

#[test]
fn images_that_differ_most_are_drawn_with_the_masks_of_every_run() {
    let case = Case::new(4).pngs(4);
    let folders = ["exact", "without"].map(|name| case.path(name));
    let evaluate = |folder: &Path| {
        std::fs::create_dir(folder).unwrap();
        let [table, maps] = ["per-image.parquet", "label-maps.parquet"].map(|name| folder.join(name));
        let flags = ["--per-image", table.to_str().unwrap(), "--label-maps", maps.to_str().unwrap()];
        case.numbers("", &flags);
    };
    evaluate(&folders[0]);
    let labels = Case::labels(2).into_iter().map(|label| label % 9).collect();
    GrayImage::from_raw(SIDE, SIDE, labels).unwrap().save(case.path("2.png")).unwrap();
    evaluate(&folders[1]);
    // What was stored can be judged again.
    let stored = case.numbers("exact/label-maps.parquet", &["--protocol", "glass-release"]);
    assert_eq!(value(&stored, "glass-release", "mbo_i"), (1.0, 4));

    let pictures = case.path("pictures");
    let compare = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.arg("compare").args(&folders).args(["--json", "-", "--images", "2", "--metric", "mbo_i"]);
        command.arg("--pictures").arg(&pictures).arg("--image-folder").arg(case.data.folder());
        command.arg("--annotations").arg(case.data.instances()).args(more).output().unwrap()
    };
    let output = compare(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let differences: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let drawn: Vec<&Value> = differences.iter().filter(|difference| !difference["picture"].is_null()).collect();
    assert_eq!(drawn.len(), 1);
    assert_eq!((&drawn[0]["protocol"], &drawn[0]["largest"][0][0]), (&json!("glass-release"), &json!("2.png")));
    let picture = image::open(pictures.join(drawn[0]["picture"].as_str().unwrap())).unwrap().into_rgb8();
    // Image, truth and two runs in a row, two rows.
    assert!(picture.width() > 4 * 192 && picture.height() > 2 * 192, "{:?}", picture.dimensions());
    let cell = |column: u32| -> Vec<u8> {
        let view = image::imageops::crop_imm(&picture, 6 + column * 198, 17, 192, 192);
        view.to_image().into_raw()
    };
    assert_ne!(cell(2), cell(3));
    assert_ne!(cell(0), cell(1));

    std::fs::remove_file(folders[1].join("label-maps.parquet")).unwrap();
    let refused = compare(&[]);
    assert_eq!(refused.status.code(), Some(1));
    contains(&String::from_utf8_lossy(&refused.stderr), &["label-maps.parquet", "evaluate it again"]);
}

/// A table that is already computed, in a store and in the folder of a run.
#[test]
fn runs_are_found_in_a_store_by_their_name() {
    let case = Case::new(2).pngs(2);
    for (run, eval) in [("a", "eval-1"), ("b", "eval-1"), ("b", "eval-2")] {
        let folder = case.path(&format!("store/runs/{run}/eval/{eval}"));
        std::fs::create_dir_all(&folder).unwrap();
        case.numbers("", &["--per-image", folder.join("per-image.parquet").to_str().unwrap()]);
    }
    let store = case.path("store");
    let compare = |runs: [&str; 2]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.arg("compare").args(runs).arg("--store").arg(&store).output().unwrap()
    };
    assert!(compare(["a", "b/eval-2"]).status.success());
    for (runs, problem) in [(["a", "b"], "eval-1, eval-2"), (["a", "c"], "was not evaluated")] {
        let refused = compare(runs);
        assert_eq!(refused.status.code(), Some(1));
        contains(&String::from_utf8_lossy(&refused.stderr), &[problem, "hint: "]);
    }
    let local = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .arg("compare")
        .args([store.join("runs/a"), store.join("runs/b/eval/eval-1")])
        .output()
        .unwrap();
    assert!(local.status.success(), "{}", String::from_utf8_lossy(&local.stderr));
}

/// Pictures beside class maps, as a set of label maps is unpacked; 255 is undecided.
#[test]
fn class_masks_are_judged_against_class_maps() {
    let case = Case::new(2);
    let set = case.path("set");
    for folder in ["images", "classes"] {
        std::fs::create_dir_all(set.join(folder)).unwrap();
    }
    class_masks(&case, 2, [1, 2]);
    for index in 0..2 {
        let name = format!("{index}.png");
        std::fs::copy(case.data.folder().join(&name), set.join("images").join(&name)).unwrap();
        let mut map = image::open(case.path(&name)).unwrap().into_luma8();
        // The upper quarter is undecided, and what the masks say there does not matter.
        map.iter_mut().take(PIXELS / 4).for_each(|label| *label = 255);
        map.save(set.join("classes").join(&name)).unwrap();
    }
    let truth = set.display().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(["evaluate", "--level", "semantic", "--json", "-", "--annotations", &truth, "--masks"])
        .arg(case.masks.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((semantic(&numbers, "judged_pixels"), semantic(&numbers, "miou")), (0.75, 1.0));
    let names: Vec<&str> =
        numbers.iter().filter_map(|number| number["metric"].as_str()?.strip_prefix("iou/")).collect();
    assert_eq!(names, ["background", "class 1", "class 2"]);
}
