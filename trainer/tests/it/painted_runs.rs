//! `trainer generate` and `trainer compose` on runs whose image decoder is trained from nothing, each with its method's
//! own sampler.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::command::{prepared, run_id, trainer};
use crate::pixels::small_unet;

/// A small run of a method, and what it was trained with.
struct Run {
    folder: tempfile::TempDir,
    changes: Vec<String>,
    id: String,
}

impl Run {
    fn new(method: &str, own: impl Fn(&Path) -> Vec<String>) -> Self {
        let folder = prepared();
        let mut changes = vec![format!("method={method}")];
        changes.extend(own(folder.path()));
        for change in ["trainer.phase1.steps=2", "trainer.phase1.diffusion=on", "trainer.phase2.steps=0"] {
            changes.push(change.to_owned());
        }
        let id = run_id(&trainer(folder.path(), &set(&changes)));
        Self { folder, changes, id }
    }

    fn call(&self, verb: &str, changes: &[String], more: &[&str]) -> Output {
        let scenes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/scenes/val");
        let mut all = changes.to_vec();
        all.push(format!("evaluation.images={}", scenes.display()));
        all.push(format!("evaluation.instances={}", scenes.join("instances.json").display()));
        for change in [
            "evaluation.limit=4",
            "evaluation.input_size=64",
            "evaluation.generation.images=3",
            "evaluation.composition.pairs=1",
            "evaluation.composition.edits=[\"remove\", \"remove-zeroed\", \"add\", \"swap\"]",
            "evaluation.composition.exchanges=[\"shift\", \"shuffle\"]",
            "evaluation.composition.exchange_pictures=3",
        ] {
            all.push(change.to_owned());
        }
        let folder = self.folder.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.arg(verb).args(["--run", &self.id]).arg("--spec").arg(folder.join("spec.toml"));
        command.arg("--store").arg(folder.join("store")).args(set(&all)).args(more).output().unwrap()
    }

    /// The folder that a call names.
    fn drawn(&self, verb: &str, more: &[&str]) -> PathBuf {
        let output = self.call(verb, &self.changes, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.folder.path().join("store").join(String::from_utf8(output.stdout).unwrap().trim())
    }

    /// Draws and scores with both verbs; pictures are `side` pixels wide.
    fn draws(&self, side: u32) {
        let folder = self.drawn("generate", &["--batch-size", "2"]);
        let index = json(&folder.join("generated.json"));
        assert_eq!((&index["decoder"], index["pictures"].as_array().unwrap().len()), (&"trained".into(), 3));
        let first = bytes(&folder.join("00000.png"));
        assert_eq!(glass_nets::image::decode(&first).unwrap().dimensions(), (side, side));
        let metrics = json(&folder.join("metrics.json"));
        let metric = |name: &str| metrics["scores"].as_array().unwrap().iter().any(|score| score["metric"] == name);
        assert!(metric("psnr") && metric("mse"), "{metrics}");
        // Neither the neighbours in a batch nor a second drawing change a picture.
        for file in ["00000.png", "generated.json"] {
            std::fs::remove_file(folder.join(file)).unwrap();
        }
        assert_eq!(self.drawn("generate", &["--batch-size", "1"]), folder);
        assert!(apart(&first, &bytes(&folder.join("00000.png"))) <= 1);

        let folder = self.drawn("compose", &[]);
        let index = json(&folder.join("compositions.json"));
        let edits: std::collections::BTreeSet<&str> =
            index["compositions"].as_array().unwrap().iter().map(|one| one["edit"].as_str().unwrap()).collect();
        assert!(edits.contains("remove") && edits.contains("swap") && edits.contains("add"), "{index}");
        assert_eq!(index["exchanges"].as_array().unwrap().len(), 6);
        assert!(folder.join("sheet.png").exists() && folder.join("metrics.json").exists());
    }

    fn refuses(&self, verb: &str, changes: &[String], named: &[&str]) {
        let output = self.call(verb, changes, &[]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        for name in named {
            assert!(message.contains(name), "`{name}` is not in {message}");
        }
    }
}

fn set(changes: &[String]) -> Vec<&str> {
    changes.iter().flat_map(|change| ["--set", change.as_str()]).collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&bytes(path)).unwrap()
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

fn apart(a: &[u8], b: &[u8]) -> u8 {
    let [a, b] = [a, b].map(|bytes| glass_nets::image::decode(bytes).unwrap());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

fn networks(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/networks/mini").join(name).display().to_string()
}

/// A UNet of a few channels on latents of a small autoencoder.
fn latents(folder: &Path, method: &str, kind: &str) -> Vec<String> {
    let spec = small_unet(&folder.join("networks"), method);
    let autoencoder = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/pixels").join(kind);
    vec![
        format!("trainer.latent_diffusion.config={}", spec.config.display()),
        format!("trainer.latent_diffusion.autoencoder={kind}"),
        format!("trainer.latent_diffusion.autoencoder_weights={}", autoencoder.display()),
        "trainer.latent_diffusion.image_size=16".to_owned(),
        "trainer.slots.size=6".to_owned(),
        "trainer.slots.out_size=6".to_owned(),
    ]
}

#[test]
fn plain_slot_attention_draws_with_its_decoder() {
    let run = Run::new("slot-attention", |_| {
        vec![
            format!("trainer.encoder.weights={}", networks("resnet34-savi")),
            "trainer.encoder.image_size=64".to_owned(),
            "trainer.broadcast.channels=4".to_owned(),
            "trainer.broadcast.layers=2".to_owned(),
            "trainer.broadcast.image_size=32".to_owned(),
        ]
    });
    run.draws(32);
    // Another method's spec names the folders of other networks.
    let both = [&run.id, "RUN.json", "`slot-attention`", "`glass`", "`broadcast`, not `stable-diffusion`", "hint: "];
    for verb in ["generate", "compose", "evaluate", "probe"] {
        run.refuses(verb, &[], &both);
    }
    let folder = run.folder.path();
    let mut explain = Command::new(env!("CARGO_BIN_EXE_trainer"));
    explain.args(["explain", &run.id, "--step", "1"]).arg("--spec").arg(folder.join("spec.toml"));
    let refused = explain.arg("--store").arg(folder.join("store")).output().unwrap();
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(both.iter().all(|name| message.contains(name)), "{message}");
}

#[test]
fn slot_diffusion_draws_with_its_sampler() {
    let run = Run::new("slot-diffusion", |folder| {
        let mut changes = latents(folder, "slot-diffusion", "vq");
        changes.push("trainer.encoder.kind=dinov2".to_owned());
        changes.push("trainer.encoder.pixels=checkpoint".to_owned());
        changes
    });
    run.draws(16);
    let mut guided = run.changes.clone();
    guided.push("evaluation.generation.guidance_scale=1.3".to_owned());
    run.refuses("generate", &guided, &["guidance_scale", "1.3"]);
    let mut noisy = run.changes.clone();
    noisy.push("evaluation.generation.scheduler=checkpoint".to_owned());
    run.refuses("generate", &noisy, &["DDPM", "dpm-solver-singlestep"]);
}

#[test]
fn latent_slot_diffusion_from_nothing_draws_with_its_sampler() {
    let run = Run::new("lsd-scratch", |folder| {
        let mut changes = latents(folder, "lsd", "kl");
        changes.push(format!("trainer.encoder.weights={}", networks("lsd/backbone")));
        changes.push("trainer.encoder.image_size=64".to_owned());
        changes
    });
    run.draws(16);
}

#[test]
fn a_published_checkpoint_draws_with_its_own_unet() {
    let folder = tempfile::tempdir().unwrap();
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/release");
    std::fs::write(folder.path().join("spec.toml"), "version = 1\nname = \"published\"\n").unwrap();
    let scenes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/scenes/val");
    let mut changes = vec!["method=lsd-scratch".to_owned()];
    changes.extend(latents(folder.path(), "lsd", "kl"));
    changes.push(format!("trainer.encoder.weights={}", release.join("lsd-movi/checkpoint/unetencoder").display()));
    changes.push(format!("evaluation.images={}", scenes.display()));
    changes.push(format!("evaluation.instances={}", scenes.join("instances.json").display()));
    for change in ["trainer.encoder.image_size=16", "evaluation.limit=2", "evaluation.input_size=16"] {
        changes.push(change.to_owned());
    }
    let generate = |checkpoint: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.arg("generate").arg("--checkpoint").arg(release.join(checkpoint));
        command.arg("--spec").arg(folder.path().join("spec.toml"));
        command.arg("--store").arg(folder.path().join("store")).args(set(&changes)).output().unwrap()
    };
    let drawn = generate("lsd-movi");
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    let out = folder.path().join("store").join(String::from_utf8(drawn.stdout).unwrap().trim());
    let index = json(&out.join("generated.json"));
    assert!(index["run"].as_str().unwrap().starts_with("checkpoint-"), "{index}");
    assert_eq!((&index["decoder"], index["pictures"].as_array().unwrap().len()), (&"trained".into(), 2));
    // A checkpoint of slots alone.
    let refused = generate("glass");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(message.contains("unetencoder") || message.contains("trainer.image.kind"), "{message}");
}

#[test]
fn a_method_without_its_images_says_where_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/mini/dinov2");
    let text = format!(
        "version = 1\nname = \"test\"\nmethod = \"dinosaur-mlp\"\n[trainer.encoder]\nkind = \"dinov2\"\nweights = {weights:?}\n"
    );
    std::fs::write(folder.path().join("spec.toml"), text).unwrap();
    let refused = trainer(folder.path(), &[]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    for part in ["hint: ", "trainer.data.source", "[trainer.data.images]", "glassctl run"] {
        assert!(message.contains(part), "{message}");
    }
}
