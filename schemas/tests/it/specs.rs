use glass_schemas::SchemaError;
use glass_schemas::ids::{DatasetKind, Digest};
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::DataSource;

fn refuse(text: &str) -> (String, Option<String>) {
    match RunSpec::parse(text, "run.toml") {
        Err(error @ SchemaError::InvalidSpec { .. }) => (error.to_string(), error.hint().map(str::to_owned)),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn defaults_are_filled_in() {
    let spec = RunSpec::parse("version = 1\nname = \"x\"", "run.toml").unwrap();
    assert_eq!(spec.seed, 1111);
    assert_eq!(spec.masks.power, 4);
    assert_eq!(spec.generator.guidance_scale, 7.5);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    let (message, hint) = refuse("version = 1\nname = \"x\"\n[generator]\nstesp = 5");
    assert!(message.contains("run.toml") && message.contains("stesp"), "{message}");
    assert_eq!(hint.unwrap(), "did you mean `steps`?");
}

#[test]
fn values_out_of_range_name_their_key() {
    let (message, _) = refuse("version = 1\nname = \"x\"\n[masks]\nlow = 0.9");
    assert!(message.contains("`masks.low`"), "{message}");
    let (message, _) = refuse("version = 1\nname = \"x\"\n[generator]\nclass_prompt = \"cat\"");
    assert!(message.contains("{class}"), "{message}");
    let (message, _) = refuse("version = 1\nname = \"x\"\n[benchmark]\nminutes = 0.0");
    assert!(message.contains("`benchmark.minutes`"), "{message}");
    let (message, _) = refuse("version = 1\nname = \"x\"\n[benchmark]\nseeds = []");
    assert!(message.contains("`benchmark.seeds`"), "{message}");
    let (message, _) = refuse("version = 9\nname = \"x\"");
    assert!(message.contains("`version` is 9"), "{message}");
}

#[test]
fn overrides_are_typed_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.toml");
    std::fs::write(&path, "version = 1\nname = \"x\"").unwrap();
    let set = |s: &[&str]| RunSpec::load_with(&path, &s.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    let spec = set(&["masks.low=0.25", "generator.class_prompt=a {class}"]).unwrap();
    assert_eq!(spec.masks.low, 0.25);
    assert_eq!(spec.generator.class_prompt, "a {class}");
    assert!(set(&["masks.low"]).is_err());
    assert!(set(&["masks.lwo=1"]).is_err());
    assert!(RunSpec::load(&dir.path().join("none.toml")).is_err());
}

#[test]
fn every_shipped_run_spec_parses() {
    let runs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/runs");
    let mut count = 0;
    for folder in std::fs::read_dir(runs).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let spec = RunSpec::load(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let real = spec.trainer.data.source == DataSource::Images;
            assert!(real || !spec.captioner.weights.is_empty(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 4, "{count}");
}

const SMALL: &str = "version = 1\nname = \"x\"\n[trainer.slots]\ncount = 3\n[trainer.phase1]\nsteps = 5\n";

/// The spec above with a method, as a file.
fn with_method(method: &str, more: &[&str]) -> Result<RunSpec, SchemaError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.toml");
    std::fs::write(&path, SMALL).unwrap();
    let mut set = vec![format!("method={method}")];
    set.extend(more.iter().map(|change| (*change).to_owned()));
    RunSpec::load_with(&path, &set)
}

#[test]
fn every_file_of_a_method_is_shipped_and_holds_below_the_specs_own_keys() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/baselines");
    let mut ids: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut shipped: Vec<String> = glass_schemas::spec::BASELINES.iter().map(|(id, _)| (*id).to_owned()).collect();
    ids.sort();
    shipped.sort();
    assert_eq!(ids, shipped);
    for id in ids {
        let teacher = "trainer.guidance.teacher=run-0";
        let spec = with_method(&id, &[]).or_else(|_| with_method(&id, &[teacher]));
        let spec = spec.unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!((spec.trainer.slots.count, spec.trainer.phase1.steps), (3, 5), "{id}");
        assert!(!spec.evaluation.masks.is_empty(), "{id}");
    }
}

#[test]
fn a_method_fills_what_the_spec_does_not_say() {
    use glass_schemas::spec::trainer::{ClipNorm, FeatureDecoderKind, Orders};
    let spec = with_method("spot-teacher", &["trainer.optimizer.clip=0.5"]).unwrap().trainer;
    assert_eq!(spec.features.kind, FeatureDecoderKind::Transformer);
    assert_eq!((spec.features.orders, spec.slots.size, spec.slots.count), (Orders::Nine, 256, 3));
    assert_eq!((spec.optimizer.clip, spec.optimizer.clip_norm), (0.5, ClipNorm::Infinity));
}

#[test]
fn an_unknown_method_and_one_that_says_too_much_are_refused() {
    let error = with_method("spot-techer", &[]).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean `spot-teacher`?");
    let student = with_method("spot-student", &[]).unwrap_err();
    assert!(student.to_string().contains("trainer.guidance.teacher"), "{student}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.toml");
    std::fs::write(&path, "[generator]\nsteps = 3").unwrap();
    let error = with_method(path.to_str().unwrap(), &[]).unwrap_err();
    assert!(error.to_string().contains("`generator`") && error.hint().unwrap().contains("`trainer`"));
    std::fs::write(&path, "[trainer.slots]\nsize = 24\ncuont = 2").unwrap();
    let error = with_method(path.to_str().unwrap(), &[]).unwrap_err();
    assert_eq!(error.hint().unwrap(), "did you mean `count`?");
    std::fs::write(&path, "[trainer.slots]\nsize = 24").unwrap();
    assert_eq!(with_method(path.to_str().unwrap(), &[]).unwrap().trainer.slots.size, 24);
}

#[test]
fn the_file_of_a_method_is_no_spec_and_says_how_one_names_it() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/baselines/dinosaur-mlp.toml");
    let error = RunSpec::load(&path).unwrap_err();
    let SchemaError::InvalidSpec { message, hint, .. } = &error else { panic!("{error}") };
    let hint = hint.as_ref().unwrap();
    assert!(message.contains("the file of a method"), "{message}");
    for part in ["method = \"dinosaur-mlp\"", "[trainer.data.images]", "manifests/runs"] {
        assert!(hint.contains(part), "{hint}");
    }
}

#[test]
fn methods_are_told_apart_by_what_fills_their_sockets() {
    let trainer = |method: &str, more: &[&str]| with_method(method, more).unwrap().trainer;
    let painting = ["slot-attention", "slot-diffusion", "lsd-scratch"];
    for method in ["glass", "stable-lsd-boxes", "dinosaur-mlp", "spot-teacher"].into_iter().chain(painting) {
        // Whatever the encoder of a run is.
        let sockets = trainer(method, &["trainer.slots.count=3"]).sockets();
        assert_eq!(sockets.method(), Some(method));
        assert_eq!(sockets.to_string(), format!("`{method}`"));
    }
    let (one, other) = (trainer("glass", &[]).sockets(), trainer("slot-attention", &[]).sockets());
    let differences = one.differences(&other);
    assert!(differences.contains(&("image.kind", "stable-diffusion".into(), "broadcast".into())), "{differences:?}");
    assert!(one.differences(&one).is_empty());
    assert_eq!(trainer("slot-attention", &["trainer.slots.position=none"]).sockets().method(), Some("slot-attention"));
    assert_eq!(trainer("glass", &["trainer.image.kind=broadcast"]).sockets().method(), None);
}

/// What `RUN.json` of a run made before methods were files says of its trainer, but for numbers that still stand.
const BEFORE_METHODS: &str = r#"{
    "min_coverage": 0.5,
    "encoder": {"weights": "", "image_size": 448},
    "slots": {"count": 7, "iterations": 5, "heads": 1, "size": 768, "mlp_size": 768, "out_size": 1024,
        "epsilon": 1e-6, "initial": "gaussian", "position": "grid"},
    "features": {"layers": 3, "size": 2048, "token_share": 1.0},
    "diffusion": {"weights": "", "latents": "encode", "image_size": 256, "train": "all"},
    "guidance": {"background": "on", "resolution": 256, "reliability": "off"},
    "loss": {"diffusion": 1.0, "semantic": 0.7, "instance": 0.9, "semantic_ramp": {"start": 0, "end": 0}},
    "data": {"flip": 0.5, "cache": "on"},
    "optimizer": {"name": "adamw", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01, "clip": 1.0,
        "accumulate": 1, "ema": 0.0},
    "phase1": {"steps": 500000, "batch": 128, "diffusion": "on",
        "learning_rate": {"slots": 2e-5, "features": 2e-5, "unet": 0.0}, "warmup": 2500, "schedule": "constant"},
    "phase2": {"steps": 100000, "batch": 128, "diffusion": "on",
        "learning_rate": {"slots": 2e-6, "features": 2e-6, "unet": 2e-5}, "warmup": 2500, "schedule": "constant"},
    "drift": {"every": 500, "samples": 32, "threshold": 0.1, "action": "freeze"},
    "checkpoint": {"every": 25000},
    "track": {"log_every": 50, "preview_every": 5000, "preview_samples": 8}
}"#;

#[test]
fn documents_of_older_runs_read_as_the_glass_that_they_were() {
    use glass_schemas::spec::TrainerSpec;
    let mut read: TrainerSpec = serde_json::from_str(BEFORE_METHODS).unwrap();
    let expected = TrainerSpec::default();
    read.encoder.weights.clone_from(&expected.encoder.weights);
    read.diffusion.weights.clone_from(&expected.diffusion.weights);
    assert_eq!(read, expected);
    // And the file of the method says the same.
    let method = with_method("glass", &["trainer.slots.count=7", "trainer.phase1.steps=500000"]).unwrap();
    assert_eq!(method.trainer, expected);
}

/// Datasets and runs are named by these. A new key is written only where it is used (`skip_serializing_if`), or every
/// dataset in every bucket is made again.
#[test]
fn what_a_shipped_spec_is_named_by_changes_on_purpose_only() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/runs/voc/glass.toml");
    let spec = RunSpec::load(&path).unwrap();
    let digest = |value: serde_json::Value| Digest::of(value.to_string().as_bytes()).to_string()[..16].to_owned();
    let kinds = [DatasetKind::Captions, DatasetKind::Generations, DatasetKind::Masks];
    let mut found: Vec<String> = kinds.map(|kind| digest(spec.identity_of(kind))).into();
    found.push(digest(serde_json::json!(spec.trainer)));
    assert_eq!(found, ["2dd40f2420427ec7", "99f68de10d5c147a", "c518239d0243b078", "1d54e9d41e21a806"]);
}
