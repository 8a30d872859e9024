//! Training and scoring on real images in published formats, as a user starts them.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::formats::fixtures;

/// A small spec; `data` is its `[trainer.data]`, `evaluation` its `[evaluation.data]`.
fn spec(folder: &Path, data: &str, evaluation: &str) {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/mini/dinov2");
    let text = format!(
        r#"
version = 1
name = "test"
[trainer.encoder]
weights = {weights:?}
image_size = 64
[trainer.slots]
count = 3
iterations = 2
size = 16
mlp_size = 16
out_size = 16
position = "none"
[trainer.features]
layers = 1
size = 16
[trainer.image]
kind = "none"
[trainer.guidance]
source = "none"
resolution = 32
[trainer.phase1]
steps = 4
batch = 2
diffusion = "off"
[trainer.phase2]
steps = 0
[trainer.checkpoint]
every = 2
[trainer.track]
log_every = 1
preview_every = 4
preview_samples = 2
{data}
[evaluation]
protocols = ["glass-release", "spot", "oclf", "slotdiffusion"]
input_size = 64
mask_size = 64
slot_seeds = [0]
baselines = ["ceiling"]
{evaluation}
"#
    );
    std::fs::write(folder.join("spec.toml"), text).unwrap();
}

fn trainer(folder: &Path, verb: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .arg(verb)
        .arg("--spec")
        .arg(folder.join("spec.toml"))
        .arg("--store")
        .arg(folder.join("store"))
        .args(more)
        .env("GLASS_SCRATCH", folder.join("scratch"))
        .output()
        .unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

fn refused(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    message
}

fn metrics(folder: &Path, run: &str) -> String {
    std::fs::read_to_string(folder.join("store/runs").join(run).join("metrics.jsonl")).unwrap()
}

fn coco() -> String {
    format!(
        "[trainer.data]\nsource = \"images\"\n[trainer.data.images]\nuri = {:?}\nannotations = {:?}\n",
        fixtures("coco/val2017"),
        fixtures("coco/annotations/instances_val2017.json")
    )
}

#[test]
fn a_run_on_coco_records_its_images_and_its_slots_are_scored_on_voc() {
    let folder = TempDir::new().unwrap();
    let voc = format!("[evaluation.data]\nformat = \"voc\"\nuri = {:?}\nsplit = \"val\"\n", fixtures("VOCdevkit"));
    spec(folder.path(), &coco(), &voc);
    let run = done(&trainer(folder.path(), "train", &[]));
    let document = std::fs::read(folder.path().join("store/runs").join(&run).join("RUN.json")).unwrap();
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert!(document["images"].is_string(), "{document}");
    assert_eq!(document["spec"]["data"]["images"]["uri"], "", "{document}");
    assert_eq!(metrics(folder.path(), &run).lines().count(), 4);
    let table = done(&trainer(folder.path(), "evaluate", &["--run", &run]));
    for protocol in ["glass-release@64/64", "spot@64/64", "oclf@64/64", "slotdiffusion@64/64"] {
        assert!(table.contains(protocol), "{table}");
    }
}

#[test]
fn cached_features_are_those_that_are_computed_at_every_visit() {
    let (cached, computed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let losses = |folder: &TempDir, cache: &str| {
        spec(folder.path(), &coco(), "");
        let run = done(&trainer(folder.path(), "train", &["--set", cache]));
        let lines = metrics(folder.path(), &run);
        let loss = |line: &str| serde_json::from_str::<Value>(line).unwrap()["loss/instance"].as_f64().unwrap();
        lines.lines().map(loss).collect::<Vec<_>>()
    };
    let (cached, computed) = (losses(&cached, "trainer.data.cache=on"), losses(&computed, "trainer.data.cache=off"));
    assert_eq!(cached.len(), 4);
    // The encoder computes other batches: sums are ordered differently.
    for (cached, computed) in cached.iter().zip(&computed) {
        assert!((cached - computed).abs() <= 1e-4 * cached, "{cached} {computed}");
    }
}

#[test]
fn random_squares_of_trainaug_are_the_same_after_a_restart() {
    let data = format!(
        "[trainer.data]\nsource = \"images\"\ncrop = \"random\"\ncache = \"off\"\n\
         [trainer.data.images]\nformat = \"voc\"\nuri = {:?}\nannotations = {:?}\nsplit = \"trainaug\"\n",
        fixtures("VOCdevkit"),
        fixtures("sbd")
    );
    let (whole, stopped) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    spec(whole.path(), &data, "");
    spec(stopped.path(), &data, "");
    let run = done(&trainer(whole.path(), "train", &[]));
    let limited = done(&trainer(stopped.path(), "train", &["--minutes", "0.00001"]));
    assert_eq!(limited, run);
    std::fs::remove_dir_all(stopped.path().join("scratch")).unwrap();
    assert_eq!(done(&trainer(stopped.path(), "train", &[])), run);
    assert_eq!(metrics(whole.path(), &run), metrics(stopped.path(), &run));
}

#[test]
fn what_real_images_cannot_give_is_refused_by_key() {
    let folder = TempDir::new().unwrap();
    spec(folder.path(), &coco(), "");
    for (set, parts) in [
        ("trainer.data.crop=random", ["trainer.data.cache", "random"]),
        ("trainer.guidance.source=pseudo-masks", ["trainer.guidance.source", "box-masks"]),
        ("trainer.data.images.uri=nowhere", ["nowhere", "cannot read"]),
        ("trainer.data.images.limit=0", ["images", "no picture"]),
    ] {
        let message = refused(&trainer(folder.path(), "train", &["--set", set]));
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
}

#[test]
fn given_masks_are_judged_against_voc() {
    let folder = TempDir::new().unwrap();
    // VOC's own object map as the mask: every object is found.
    let map = fixtures("VOCdevkit/VOC2012/SegmentationObject/2007_000002.png");
    std::fs::copy(map, folder.path().join("2007_000002.png")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(["evaluate", "--json", "-", "--split", "val", "--masks"])
        .arg(folder.path())
        .arg("--annotations")
        .arg(fixtures("VOCdevkit"))
        .output()
        .unwrap();
    let numbers: Vec<Value> = serde_json::from_str(&done(&output)).unwrap();
    let number = |protocol: &str, metric: &str| {
        let found = numbers.iter().find(|row| row["protocol"] == protocol && row["metric"] == metric);
        found.unwrap()["value"].as_f64().unwrap()
    };
    assert_eq!(number("spot", "mbo_i"), 1.0);
    assert_eq!(number("oclf", "fg_ari"), 1.0);
}

#[test]
fn objects365_is_scored_by_boxes_and_probed() {
    let folder = TempDir::new().unwrap();
    let boxes = format!(
        "[evaluation.data]\nformat = \"objects365\"\nuri = {:?}\nannotations = {:?}\n[evaluation.probe]\nsteps = 5\n",
        fixtures("objects365/val"),
        fixtures("objects365/zhiyuan_objv2_val.json")
    );
    spec(folder.path(), &coco(), &boxes);
    let run = done(&trainer(folder.path(), "train", &[]));
    let table = done(&trainer(folder.path(), "evaluate", &["--run", &run]));
    for part in ["boxes alone", "box CorLoc", "box recovery", "painted mBO"] {
        assert!(table.contains(part), "{table}");
    }
    assert!(!table.contains("mIoU_i") && !table.contains("FG-ARI"), "{table}");
    let eval = folder.path().join("store/runs").join(&run).join("eval");
    let results = std::fs::read_dir(eval).unwrap().next().unwrap().unwrap().path().join("results.json");
    let results: Value = serde_json::from_slice(&std::fs::read(results).unwrap()).unwrap();
    for (protocol, painted) in [(0, true), (1, false)] {
        let metrics = results["protocols"][protocol]["methods"][0]["metrics"].as_object().unwrap();
        let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
        let mut expected = vec!["box_corloc", "box_mbo", "box_recovery"];
        expected.extend(painted.then_some("mbo_i_without_background"));
        assert_eq!(names, expected);
    }
    let table = done(&trainer(folder.path(), "probe", &["--run", &run]));
    assert!(table.contains("category") && table.contains("box"), "{table}");
}
