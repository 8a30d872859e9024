//! `trainer train`, from datasets in a store to checkpoints.

use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use glass_dataset::{Dataset, Store, StoreOptions};
use glass_schemas::dataset::{ClassLabel, EncodedImage, GenerationRow, MaskRow, Row};
use glass_schemas::ids::{DatasetKind, Digest, SampleId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_schemas::spec::RunSpec;
use glass_trainer::checkpoint::AttemptCost;
use image::{GrayImage, ImageFormat, Luma};

const PICTURES: usize = 6;

fn spec_text() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/mini");
    let weights = |name: &str| format!("weights = {:?}", root.join(name));
    format!(
        r#"
version = 1
name = "test"
[trainer.encoder]
{}
image_size = 128
[trainer.slots]
count = 3
iterations = 2
size = 16
mlp_size = 16
out_size = 128
position = "none"
[trainer.features]
layers = 1
size = 16
token_share = 0.1
[trainer.diffusion]
{}
latents = "stored"
[trainer.guidance]
resolution = 32
[trainer.phase1]
steps = 3
batch = 2
diffusion = "off"
[trainer.phase2]
steps = 2
batch = 1
[trainer.checkpoint]
every = 2
[trainer.track]
log_every = 1
preview_every = 3
preview_samples = 2
"#,
        weights("dinov2"),
        weights("stable-diffusion")
    )
}

/// Two shards of scenes with a mask of two halves; the last picture has none.
async fn datasets(spec: &RunSpec, store: &Store) {
    let identity = |kind, upstream| {
        Identity::new(IdentityParts {
            kind,
            stage: "test".to_owned(),
            run_seed: spec.seed,
            spec: spec.identity_of(kind),
            upstream,
            weights: [].into(),
            shards: 2,
        })
    };
    let of_captions = identity(DatasetKind::Captions, vec![]);
    let of_generations = identity(DatasetKind::Generations, vec![of_captions.id.clone()]);
    let of_attention = identity(DatasetKind::Attention, vec![of_captions.id.clone()]);
    let of_masks = identity(DatasetKind::Masks, vec![of_attention.id.clone()]);
    for identity in [&of_captions, &of_attention] {
        Dataset::create(store, identity).await.unwrap();
    }
    let generations = Dataset::create(store, &of_generations).await.unwrap();
    let masks = Dataset::create(store, &of_masks).await.unwrap();
    for shard in 0..2 {
        let range = shard * PICTURES / 2..(shard + 1) * PICTURES / 2;
        let rows: Vec<_> = range.clone().map(generation).collect();
        let batch = GenerationRow::encode(&rows).unwrap();
        let index = ShardIndex(shard as u32);
        let schema = GenerationRow::schema();
        generations.write_shard(index, schema, vec![batch], &[]).await.unwrap();
        let rows: Vec<_> = range.filter(|&i| i + 1 < PICTURES).map(mask).collect();
        let batch = MaskRow::encode(&rows).unwrap();
        masks.write_shard(index, MaskRow::schema(), vec![batch], &[]).await.unwrap();
    }
}

fn classes() -> Vec<ClassLabel> {
    vec![ClassLabel { id: 3, name: "cat".to_owned() }]
}

fn id(index: usize) -> SampleId {
    SampleId::generated(&Digest::of(&[index as u8]), "a cat", 0)
}

fn generation(index: usize) -> GenerationRow {
    let path = format!("{}/../assets/scenes/train/{index:05}.jpg", env!("CARGO_MANIFEST_DIR"));
    GenerationRow {
        sample_id: id(index),
        source_id: id(index),
        source_uri: path.clone(),
        replicate: 0,
        seed: 0,
        caption: "a cat".to_owned(),
        classes: classes(),
        prompt: "a cat; cat".to_owned(),
        image: EncodedImage { bytes: std::fs::read(path).unwrap(), path: format!("{index}.jpg") },
        width: 128,
        height: 128,
        latent: (0..8 * 256).map(|i| (i as f32 + index as f32).sin()).collect(),
        latent_shape: vec![8, 16, 16],
    }
}

fn mask(index: usize) -> MaskRow {
    let picture = GrayImage::from_fn(128, 128, |x, y| {
        Luma([if y < 8 {
            255
        } else if x < 40 + index as u32 {
            0
        } else {
            3
        }])
    });
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    MaskRow {
        sample_id: id(index),
        classes: classes(),
        mask: EncodedImage { bytes: png.into_inner(), path: format!("{index}.png") },
        width: 128,
        height: 128,
        extractor: "test".to_owned(),
        quality: vec![],
        agreement: 1.0,
    }
}

fn command(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command
        .arg("train")
        .arg("--spec")
        .arg(folder.join("spec.toml"))
        .arg("--store")
        .arg(folder.join("store"))
        .arg("--scratch")
        .arg(folder.join("scratch"))
        .args(more);
    command
}

pub fn trainer(folder: &Path, more: &[&str]) -> Output {
    command(folder, more).output().unwrap()
}

pub fn run_id(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

fn files(folder: &Path) -> Vec<(String, std::time::SystemTime)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_dir() {
                waiting.push(entry.path());
            } else {
                let modified = entry.metadata().unwrap().modified().unwrap();
                found.push((entry.path().display().to_string(), modified));
            }
        }
    }
    found.sort();
    found
}

/// A folder with a spec and its datasets.
pub fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("spec.toml"), spec_text()).unwrap();
    let spec = RunSpec::load(&folder.path().join("spec.toml")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let uri = folder.path().join("store").display().to_string();
    runtime.block_on(async {
        let store = Store::open(&uri, &StoreOptions::default()).unwrap();
        datasets(&spec, &store).await;
    });
    folder
}

pub fn metrics(folder: &Path, run: &str) -> String {
    std::fs::read_to_string(folder.join("store/runs").join(run).join("metrics.jsonl")).unwrap()
}

#[test]
fn a_run_terminated_while_the_unet_trains_ends_with_the_same_losses() {
    let longer = ["--set", "trainer.phase2.steps=8"];
    let (whole, stopped) = (prepared(), prepared());
    let id = run_id(&trainer(whole.path(), &longer));

    let mut child = command(stopped.path(), &longer).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let reached = lines.find(|line| line.as_ref().unwrap().contains("phase=2"));
    assert!(reached.is_some());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    // Read on, or the process would wait for room in the pipe.
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(75));
    let done = metrics(stopped.path(), &id).lines().count();
    assert!((4..11).contains(&done), "{done} lines");

    assert_eq!(run_id(&trainer(stopped.path(), &longer)), id);
    assert_eq!(metrics(whole.path(), &id), metrics(stopped.path(), &id));
}

#[test]
fn latents_can_be_encoded_anew_at_every_visit() {
    let folder = prepared();
    let encode = ["--set", "trainer.diffusion.latents=encode", "--set", "trainer.diffusion.image_size=128"];
    let id = run_id(&trainer(folder.path(), &encode));
    let text = metrics(folder.path(), &id);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    // An untrained condition leaves the loss near that of the checkpoint: between nothing and pure noise.
    let loss = last["loss/diffusion"].as_f64().unwrap();
    assert!((0.01..2.0).contains(&loss), "{loss}");
    let odd = ["--set", "trainer.diffusion.latents=encode", "--set", "trainer.diffusion.image_size=129"];
    let refused = trainer(folder.path(), &odd);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("trainer.diffusion.image_size"));
}

#[test]
fn a_run_goes_from_datasets_to_checkpoints_and_is_not_done_twice() {
    let folder = prepared();
    let folder = folder.path();

    // One of six pictures has no mask.
    let refused = trainer(folder, &["--set", "trainer.min_coverage=0.9"]);
    assert_eq!(refused.status.code(), Some(1));
    let error = String::from_utf8_lossy(&refused.stderr).to_string();
    assert!(error.contains("5 of 6"), "{error}");

    let early = trainer(folder, &["--phase", "2"]);
    assert_eq!(early.status.code(), Some(1));

    let first = run_id(&trainer(folder, &["--phase", "1"]));
    let both = run_id(&trainer(folder, &[]));
    assert_eq!(first, both);
    let run = folder.join("store/runs").join(&both);
    let commits = run.join("commits");
    for step in [2, 3, 4, 5] {
        assert!(commits.join(format!("{step:08}.json")).exists(), "step {step}");
    }
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 5);
    assert!(metrics.lines().last().unwrap().contains("loss/diffusion"));
    assert!(run.join("previews/00000003.png").exists());

    let before = files(&run);
    assert_eq!(run_id(&trainer(folder, &[])), both);
    assert_eq!(before, files(&run));
    assert_ne!(run_id(&trainer(folder, &["--seed", "7", "--phase", "1"])), both);

    // The trained UNet is saved under the names of the checkpoint it came from.
    let record = std::fs::read_to_string(commits.join("00000005.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let unet = run.join(record["folder"].as_str().unwrap()).join("unet2dconditionmodel");
    glass_nets::unet::UNet2DConditionModel::load(unet, &burn::tensor::Device::flex()).unwrap();
}

#[test]
fn training_ends_when_its_time_is_used_up_and_what_it_cost_is_kept() {
    let (limited, whole) = (prepared(), prepared());
    let id = run_id(&trainer(limited.path(), &["--minutes", "0.00001"]));
    let run = limited.path().join("store/runs").join(&id);
    let attempts = || {
        let entries = std::fs::read_dir(run.join("attempts")).unwrap();
        let texts = entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
        texts.map(|text| serde_json::from_str::<AttemptCost>(&text).unwrap()).collect::<Vec<_>>()
    };
    // One step is the least that a process does.
    let [first] = attempts().try_into().unwrap();
    assert_eq!((first.from, first.to), (0, 1));
    assert!(first.processor_seconds > 0.0 && first.preparing_seconds > 0.0, "{first:?}");
    assert!(first.peak_memory > Some(10_000_000), "{first:?}");

    let before = files(&run);
    assert_eq!(run_id(&trainer(limited.path(), &["--minutes", "0.00001"])), id);
    assert_eq!(before, files(&run));

    // With more time it goes on, and ends as if it had never been limited.
    assert_eq!(run_id(&trainer(limited.path(), &["--minutes", "60"])), id);
    assert_eq!(attempts().iter().map(|attempt| attempt.to).max(), Some(5));
    assert_eq!(run_id(&trainer(whole.path(), &[])), id);
    assert_eq!(metrics(limited.path(), &id), metrics(whole.path(), &id));

    let refused = trainer(limited.path(), &["--minutes", "-1"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_step_is_explained_with_the_losses_that_it_had() {
    let folder = prepared();
    let id = run_id(&trainer(folder.path(), &["--set", "trainer.checkpoint.every=0"]));
    let explain = |step: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.args(["explain", &id, "--step", step, "--samples", "1", "--set", "trainer.checkpoint.every=0"]);
        command.arg("--spec").arg(folder.path().join("spec.toml")).arg("--store").arg(folder.path().join("store"));
        command.arg("--scratch").arg(folder.path().join("scratch")).arg("--out").arg(folder.path().join("seen"));
        command.args(more).output().unwrap()
    };
    let seen = |step: &str, more: &[&str]| -> serde_json::Value {
        let output = explain(step, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&std::fs::read(folder.path().join("seen/explain.json")).unwrap()).unwrap()
    };
    // Checkpoints are there after 3 and 5 steps: step 3 is reached from nothing, step 5 from the third.
    let logged: Vec<serde_json::Value> =
        metrics(folder.path(), &id).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (step, from) in [(3, 2), (5, 4)] {
        let found = seen(&step.to_string(), &["--replay"]);
        assert_eq!((&found["exact"], &found["weights_after"]), (&true.into(), &from.into()));
        for (name, term) in [("loss/total", "total"), ("loss/instance", "instance"), ("loss/semantic", "semantic")] {
            assert_eq!(found["step_losses"][term], logged[step - 1][name], "step {step}: {name}");
        }
        let samples = found["samples"].as_array().unwrap();
        let total = |sample: &serde_json::Value| sample["losses"]["total"].as_f64().unwrap();
        assert!(samples.windows(2).all(|pair| total(&pair[0]) >= total(&pair[1])));
        let instance = samples.iter().map(|sample| sample["losses"]["instance"].as_f64().unwrap()).sum::<f64>();
        let step_instance = found["step_losses"]["instance"].as_f64().unwrap();
        assert!((instance / samples.len() as f64 - step_instance).abs() < 1e-5 * step_instance.abs());
        let shares: f64 = samples[0]["shares"].as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).sum();
        assert!((shares - 1.0).abs() < 1e-9);
    }
    let picture = image::open(folder.path().join("seen/explain.png")).unwrap();
    assert!(picture.width() > 3 * 200 && picture.height() > 200);
    // Without training on, the weights are those of the newest checkpoint before.
    let found = seen("5", &[]);
    assert_eq!((&found["exact"], &found["weights_after"]), (&false.into(), &3.into()));

    let late = explain("6", &[]);
    assert_eq!(late.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&late.stderr).contains("5 steps"));
}

#[test]
fn slot_usage_is_logged_and_becomes_curves() {
    let folder = prepared();
    let id = run_id(&trainer(folder.path(), &["--phase", "1"]));
    let line: serde_json::Value = serde_json::from_str(metrics(folder.path(), &id).lines().last().unwrap()).unwrap();
    let value = |name: &str| line[name].as_f64().unwrap();
    let shares: f64 = (0..3).map(|slot| value(&format!("slots/share/{slot:02}"))).sum();
    assert!((shares - 1.0).abs() < 1e-5, "{line}");
    assert!((1.0..=3.0).contains(&value("slots/used")) && (0.0..=1.0).contains(&value("attention/entropy")));
    let events = folder.path().join("store/runs").join(&id).join("tensorboard");
    let file = std::fs::read(events.join("events.out.tfevents.0000000000.metrics")).unwrap();
    for tag in ["slots/used", "attention/entropy", "slots/share/00"] {
        assert!(file.windows(tag.len()).any(|window| window == tag.as_bytes()), "{tag}");
    }
}

/// Settings of an evaluation on four real scenes.
fn evaluation() -> Vec<String> {
    let scenes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/scenes");
    let path = |name: &str| scenes.join(name).display().to_string();
    [
        format!("evaluation.images={}", path("val")),
        format!("evaluation.instances={}", path("val/instances.json")),
        "evaluation.limit=4".to_owned(),
        "evaluation.input_size=128".to_owned(),
        "evaluation.mask_size=128".to_owned(),
        "evaluation.baselines=[]".to_owned(),
    ]
    .into_iter()
    .flat_map(|setting| ["--set".to_owned(), setting])
    .collect()
}

#[test]
fn an_exported_checkpoint_is_evaluated_as_a_published_one_and_scores_the_same() {
    let folder = prepared();
    let id = run_id(&trainer(folder.path(), &[]));
    let store = folder.path().join("store");
    let out = folder.path().join("published");
    let program = || Command::new(env!("CARGO_BIN_EXE_trainer"));
    let exported = program().args(["export", &id]).arg("--store").arg(&store).arg("--out").arg(&out).output().unwrap();
    let checkpoint = std::path::PathBuf::from(run_id(&exported));
    for file in [
        "multiheadstevesa/config.json",
        "multiheadstevesa/diffusion_pytorch_model.safetensors",
        "unet2dconditionmodel/config.json",
        "unet2dconditionmodel/diffusion_pytorch_model.safetensors",
    ] {
        assert!(checkpoint.join(file).is_file(), "{file}");
    }
    let evaluate = |what: &[&str]| -> serde_json::Value {
        let mut command = program();
        command.arg("evaluate").args(what).arg("--spec").arg(folder.path().join("spec.toml"));
        command.arg("--store").arg(&store).args(evaluation());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let runs = std::fs::read_dir(store.join("runs")).unwrap().map(|entry| entry.unwrap().path());
        let evaluations = runs.filter(|run| run.join("eval").is_dir()).map(|run| run.join("eval"));
        let newest = evaluations
            .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
            .max_by_key(|path| path.join("results.json").metadata().unwrap().modified().unwrap())
            .unwrap();
        serde_json::from_slice(&std::fs::read(newest.join("results.json")).unwrap()).unwrap()
    };
    let ours = evaluate(&["--run", &id]);
    let published = evaluate(&["--checkpoint", checkpoint.to_str().unwrap()]);
    assert!(published["run"].as_str().unwrap().starts_with("checkpoint-"));
    assert_ne!(ours["eval_id"], published["eval_id"]);
    let metrics = |results: &serde_json::Value| results["protocols"][0]["methods"][0]["metrics"].clone();
    assert_eq!(metrics(&ours), metrics(&published));
    assert!(metrics(&ours)["mbo_i"]["mean"].as_f64().unwrap() > 0.0);

    let others = format!("{}/tests/goldens/release/glass", env!("CARGO_MANIFEST_DIR"));
    for (path, problem) in [("/nowhere/at/all", "/nowhere/at/all"), (&others, "these slots take 12")] {
        let mut command = program();
        command.args(["evaluate", "--checkpoint", path, "--spec"]).arg(folder.path().join("spec.toml"));
        let refused = command.arg("--store").arg(&store).args(evaluation()).output().unwrap();
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{message}");
        assert!(message.contains(problem) && message.contains("hint: "), "{message}");
    }
}
