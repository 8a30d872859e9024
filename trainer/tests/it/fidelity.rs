//! Drawn pictures against real ones, in the embedded DINOv2.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn::tensor::Device;
use glass_schemas::spec::pictures::PictureMetricsSpec;
use glass_trainer::fidelity::{Folder, Judge, Networks, Reference, Report, Settings};
use image::RgbImage;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn settings() -> Settings {
    let spec = PictureMetricsSpec { kernel_subsets: 3, ..PictureMetricsSpec::default() };
    Settings { spec, encoder: Some((root().join("assets/mini/dinov2"), 128)) }
}

/// Real scenes, a little darker ones with `change`.
fn pictures(range: std::ops::Range<u32>, change: u8) -> (Vec<String>, Vec<RgbImage>) {
    let read = |index: u32| {
        let path = root().join(format!("assets/scenes/val/{index:05}.jpg"));
        let mut picture = glass_nets::image::decode(&std::fs::read(path).unwrap()).unwrap();
        picture.iter_mut().for_each(|byte| *byte = byte.saturating_sub(change));
        picture
    };
    (range.clone().map(|index| format!("{index:05}")).collect(), range.map(read).collect())
}

fn names(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn value(report: &Report, metric: &str) -> f64 {
    let score = report.scores.iter().find(|score| score.metric == metric);
    score.unwrap_or_else(|| panic!("no {metric}")).value.unwrap()
}

#[test]
fn equal_sets_are_no_distance_apart_and_changed_ones_are() {
    let settings = settings();
    let networks = Networks::load(&settings, &Device::flex()).unwrap();
    let judge = |change: u8, batch: usize| {
        let mut judge = Judge::new(&networks, &settings.spec, None).unwrap();
        let (real_names, real) = pictures(0..12, 0);
        let (drawn_names, drawn) = pictures(0..12, change);
        judge.begin(None);
        for at in (0..12).step_by(batch) {
            let end = (at + batch).min(12);
            judge.real(&names(&real_names)[at..end], &real[at..end]).unwrap();
            judge.drawn(&names(&drawn_names)[at..end], &drawn[at..end]).unwrap();
            judge.pairs(&real[at..end], &drawn[at..end]).unwrap();
        }
        judge.finish().unwrap()
    };
    let (same, changed) = (judge(0, 4), judge(40, 4));
    // Relative to a spread of hundreds; square roots of eigenvalues that should be zero.
    assert!(value(&same, "frechet_dinov2").abs() < 1e-4);
    assert_eq!(value(&same, "mse"), 0.0);
    assert!((value(&same, "ssim") - 1.0).abs() < 1e-9);
    let psnr = same.scores.iter().find(|score| score.metric == "psnr").unwrap();
    assert!(psnr.value.is_none() && psnr.note.as_ref().unwrap().contains("equal"));
    assert!(value(&changed, "frechet_dinov2") > 0.01 && value(&changed, "psnr") < 20.0);
    // The batch changes nothing but the order of sums.
    for (one, other) in changed.scores.iter().zip(judge(40, 5).scores) {
        let (one, other) = (one.value.unwrap(), other.value.unwrap());
        assert!((one - other).abs() <= 1e-3 * one.abs().max(1e-3), "{one} {other}");
    }
    // The number says that it is not FID, and of how many pictures it is.
    let frechet = &changed.scores[0];
    assert!(frechet.note.as_ref().unwrap().contains("not FID"));
    assert_eq!((frechet.pictures, frechet.real), (12, Some(12)));
    assert!(changed.to_string().contains("not FID"));
    assert!(changed.scores.iter().all(|score| score.metric != "fid" && score.metric != "kid"));
}

#[test]
fn stored_statistics_stand_for_the_real_pictures() {
    let settings = settings();
    let networks = Networks::load(&settings, &Device::flex()).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("real.safetensors");
    let ((real_names, real), (drawn_names, drawn)) = (pictures(0..10, 0), pictures(10..20, 0));
    let mut judge = Judge::new(&networks, &settings.spec, None).unwrap();
    judge.real(&names(&real_names), &real).unwrap();
    judge.reference().unwrap().save(&path).unwrap();
    judge.begin(None);
    judge.drawn(&names(&drawn_names), &drawn).unwrap();
    let whole = judge.finish().unwrap();

    let reference = Reference::open(&path).unwrap();
    let mut judge = Judge::new(&networks, &settings.spec, Some(reference.clone())).unwrap();
    assert!(!judge.wants_real());
    judge.begin(None);
    judge.drawn(&names(&drawn_names), &drawn).unwrap();
    let stored = judge.finish().unwrap();
    let (one, other) = (value(&whole, "frechet_dinov2"), value(&stored, "frechet_dinov2"));
    assert!((one - other).abs() < 1e-6 * one, "{one} {other}");
    assert_eq!(stored.scores.len(), 1, "the kernel distance needs features");

    // Statistics of another network are refused, and damaged ones.
    let mut other = Networks::load(&settings, &Device::flex()).unwrap();
    other.digests.insert("features".to_owned(), "0".repeat(64));
    let error = Judge::new(&other, &settings.spec, Some(reference)).err().unwrap().to_string();
    assert!(error.contains("generation.metrics.reference") && error.contains("0000000000000000"), "{error}");
    std::fs::write(&path, b"cut").unwrap();
    let error = Reference::open(&path).unwrap_err();
    assert!(error.to_string().contains("real.safetensors") && error.hint().is_some(), "{error}");
}

fn trainer(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).arg("fidelity").args(arguments).output().unwrap()
}

#[test]
fn two_folders_are_compared_without_a_run() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for (name, change) in [("real", 0), ("drawn", 30)] {
        std::fs::create_dir(at(name)).unwrap();
        let (names, pictures) = pictures(0..4, change);
        for (stem, picture) in names.iter().zip(pictures) {
            picture.save(format!("{}/{stem}.png", at(name))).unwrap();
        }
    }
    std::fs::write(format!("{}/notes.txt", at("real")), "left alone").unwrap();
    let dinov2 = root().join("assets/mini/dinov2").display().to_string();
    let (real, drawn, json) = (at("real"), at("drawn"), at("out.json"));
    let output = trainer(&[
        "--real",
        &real,
        "--drawn",
        &drawn,
        "--dinov2",
        &dinov2,
        "--side",
        "128",
        "--json",
        &json,
        "--batch-size",
        "3",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Report = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let metrics: Vec<&str> = report.scores.iter().map(|score| score.metric.as_str()).collect();
    assert_eq!(metrics, ["frechet_dinov2", "kernel_dinov2", "mse", "psnr", "ssim"]);
    assert!(report.scores.iter().all(|score| score.pictures == 4));
    assert!(String::from_utf8_lossy(&output.stdout).contains("not FID"));

    for (arguments, named) in [
        (vec!["--real", &real, "--drawn", "nowhere"], "nowhere"),
        (vec!["--real", &real, "--drawn", &drawn, "--inception", &json], "out.json"),
        (vec!["--real", &real, "--drawn", &drawn, "--lpips", "none.safetensors"], "none.safetensors"),
    ] {
        let refused = trainer(&arguments);
        let error = String::from_utf8_lossy(&refused.stderr).to_string();
        assert_eq!(refused.status.code(), Some(1), "{error}");
        assert!(error.contains(named), "{error}");
    }
    let small = at("small");
    std::fs::create_dir(&small).unwrap();
    RgbImage::new(20, 30).save(format!("{small}/00001.png")).unwrap();
    let refused = trainer(&["--real", &real, "--drawn", &small]);
    let error = String::from_utf8_lossy(&refused.stderr).to_string();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("20×30") && error.contains("00001"), "{error}");
    let empty = at("empty");
    std::fs::create_dir(&empty).unwrap();
    let error = Folder::open(Path::new(&empty)).unwrap_err().to_string();
    assert!(error.contains("holds no picture"), "{error}");
}

/// What pytorch-fid's `calculate_frechet_distance` says of `ci/reference/fid_statistics.py`'s features.
const DISTANCE: f64 = 26.255134737238734;

#[test]
fn statistics_of_pytorch_fid_are_read() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/fid");
    let open = |name: &str| Reference::open(&goldens.join(name)).unwrap();
    let (real, drawn) = (open("real.npz"), open("drawn.npz"));
    assert_eq!((real.pictures(), real.statistics().dim()), (None, 12));
    let found = real.statistics().frechet_distance(drawn.statistics()).unwrap();
    assert!((found - DISTANCE).abs() < 1e-6 * DISTANCE, "{found}");

    // They are of an InceptionV3 of 12 features: nothing else is compared with them.
    let networks = Networks::load(&settings(), &Device::flex()).unwrap();
    let error = Judge::new(&networks, &settings().spec, Some(real)).err().unwrap().to_string();
    assert!(error.contains("pytorch-fid") && error.contains("12 features"), "{error}");
    let folder = TempDir::new().unwrap();
    let cut = folder.path().join("cut.npz");
    let bytes = std::fs::read(goldens.join("real.npz")).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let error = Reference::open(&cut).unwrap_err().to_string();
    assert!(error.contains("cut.npz"), "{error}");
}
