use glass_schemas::SchemaError;
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::DataSource;

fn refuse(text: &str) -> (String, Option<String>) {
    match RunSpec::parse(text, "run.toml") {
        Err(error @ SchemaError::InvalidSpec { .. }) => {
            (error.to_string(), error.hint().map(str::to_owned))
        }
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
    let set = |s: &[&str]| {
        RunSpec::load_with(&path, &s.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    };
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
