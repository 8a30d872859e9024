//! `trainer generate`, `trainer compose` and `trainer probe` on a run of a few steps.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use serde_json::Value;

use crate::command::{prepared, run_id, trainer};

/// A trained run, and what is asked of it.
struct Run {
    folder: tempfile::TempDir,
    id: String,
}

impl Run {
    fn new() -> Self {
        let folder = prepared();
        let id = run_id(&trainer(folder.path(), &["--phase", "1"]));
        Self { folder, id }
    }

    fn call(&self, verb: &str, more: &[&str]) -> Output {
        let scenes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/scenes/val");
        let spec = self.folder.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.arg(verb).args(["--run", &self.id]).arg("--spec").arg(spec.join("spec.toml"));
        command.arg("--store").arg(spec.join("store"));
        let mut set = |key: &str, value: String| {
            command.arg("--set").arg(format!("{key}={value}"));
        };
        set("evaluation.images", format!("{:?}", scenes));
        set("evaluation.instances", format!("{:?}", scenes.join("instances.json")));
        for (key, value) in [
            ("evaluation.limit", "6"),
            ("evaluation.input_size", "128"),
            ("trainer.diffusion.image_size", "64"),
            ("evaluation.generation.images", "3"),
            ("evaluation.generation.steps", "2"),
            ("evaluation.composition.pairs", "1"),
            ("evaluation.composition.steps", "2"),
            ("evaluation.composition.removal_steps", "1"),
            ("evaluation.composition.exchange_pictures", "3"),
            ("evaluation.composition.exchange_group", "2"),
            ("evaluation.composition.exchanges", "[\"shift\", \"shuffle\"]"),
            ("evaluation.probe.steps", "30"),
        ] {
            set(key, value.to_owned());
        }
        command.args(more).output().unwrap()
    }

    /// The folder that a call names.
    fn drawn(&self, verb: &str, more: &[&str]) -> PathBuf {
        let output = self.call(verb, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.folder.path().join("store").join(String::from_utf8(output.stdout).unwrap().trim())
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn written(path: &Path) -> SystemTime {
    std::fs::metadata(path).unwrap().modified().unwrap()
}

fn difference(a: &[u8], b: &[u8]) -> u8 {
    let [a, b] = [a, b].map(|bytes| glass_nets::image::decode(bytes).unwrap());
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Removes a picture and the index, draws again with another batch, and looks at what was written.
fn again(run: &Run, verb: &str, folder: &Path, removed: &str, kept: &str, index: &str) {
    let before = std::fs::read(folder.join(removed)).unwrap();
    let kept_at = written(&folder.join(kept));
    let (of_index, metrics) = (json(&folder.join(index)), json(&folder.join("metrics.json")));
    for file in [removed, index, "metrics.json"] {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    assert_eq!(run.drawn(verb, &["--batch-size", "3"]), folder);
    assert!(difference(&before, &std::fs::read(folder.join(removed)).unwrap()) <= 1);
    assert_eq!(kept_at, written(&folder.join(kept)), "what is there is not drawn again");
    assert_eq!(of_index, json(&folder.join(index)));
    let values = |metrics: &Value| -> Vec<f64> {
        let scores = metrics["scores"].as_array().unwrap();
        scores.iter().map(|score| score["value"].as_f64().unwrap_or(0.0)).collect()
    };
    for (one, other) in values(&metrics).iter().zip(values(&json(&folder.join("metrics.json")))) {
        assert!((one - other).abs() <= 0.02 * one.abs().max(0.1), "{one} {other}");
    }
}

#[test]
fn a_run_is_drawn_from_scored_and_read() {
    let run = Run::new();

    let folder = run.drawn("generate", &["--batch-size", "2"]);
    let metrics = json(&folder.join("metrics.json"));
    let names: Vec<&str> =
        metrics["scores"].as_array().unwrap().iter().map(|score| score["metric"].as_str().unwrap()).collect();
    assert_eq!(names, ["frechet_dinov2", "kernel_dinov2", "mse", "psnr", "ssim"]);
    assert!(metrics["scores"][0]["note"].as_str().unwrap().contains("not FID"));
    assert_eq!((&metrics["scores"][0]["pictures"], &metrics["scores"][0]["real"]), (&3.into(), &3.into()));
    again(&run, "generate", &folder, "00001.png", "00002.png", "generated.json");
    // The whole validation set as reference is another number about the same pictures.
    let all = ["--set", "evaluation.generation.metrics.real=all"];
    assert_eq!(run.drawn("generate", &all), folder);
    assert_eq!(json(&folder.join("metrics.json"))["scores"][0]["real"], 6);
    // Latents of the release are other latents.
    assert_ne!(run.drawn("generate", &["--set", "evaluation.generation.noise=release-batch"]), folder);

    let folder = run.drawn("compose", &["--batch-size", "2"]);
    let index = json(&folder.join("compositions.json"));
    assert_eq!(index["exchanges"].as_array().unwrap().len(), 6);
    assert!(index["exchanges"][0]["sources"].as_array().unwrap().len() == 3);
    assert!(folder.join("sheet.png").exists());
    let metrics = json(&folder.join("metrics.json"));
    let sets: std::collections::BTreeSet<&str> =
        metrics["scores"].as_array().unwrap().iter().filter_map(|score| score["of"].as_str()).collect();
    assert!(sets.contains("shift") && sets.contains("shuffle"), "{sets:?}");
    again(&run, "compose", &folder, "00001-shift.png", "00002-shuffle.png", "compositions.json");

    let output = run.call("probe", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("category") && table.contains("box"), "{table}");
    let eval = run.folder.path().join("store/runs").join(&run.id).join("eval");
    let probe = std::fs::read_dir(&eval).unwrap().next().unwrap().unwrap().path();
    let results = json(&probe.join("results.json"));
    assert_eq!((&results["pictures"], &results["slot_size"]), (&6.into(), &16.into()));
    let at = written(&probe.join("results.json"));
    assert_eq!(table, String::from_utf8(run.call("probe", &[]).stdout).unwrap());
    assert_eq!(at, written(&probe.join("results.json")));
}
