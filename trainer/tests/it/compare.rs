//! `trainer compare`: evaluations of the same images, image by image.

use std::path::Path;
use std::process::Command;

use image::GrayImage;
use serde_json::{Value, json};

use crate::given_masks::{Case, contains, value};
use crate::toy::SIDE;

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
    command.args([
        "--protocol",
        "spot",
        "--metric",
        "object_recovery",
        "--method",
        "given masks",
        "--method",
        "given masks",
    ]);
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
