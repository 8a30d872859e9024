//! What `glassctl plan` finds before a run; what it measures is tested by `ci/checks/plan`, where the
//! stages' programs are.

use std::path::Path;
use std::process::Command;

use crate::support::Outcome;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn plan(store: &Path, flags: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glassctl"));
    command
        .args(["plan", "--spec", "manifests/runs/mini/demo.toml", "--measure", "0", "--store"])
        .arg(store)
        .args(flags);
    // Under cargo the programs would be built first.
    Outcome::of(command.current_dir(ROOT).env_remove("CARGO"))
}

#[test]
fn the_weights_and_the_store_of_the_demo_are_as_they_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let said = plan(&folder.path().join("store"), &[]).stdout;
    for line in [
        "✔  generator.weights",
        "22.0 MB in 3 safetensors",
        "✔  store: an existing object is not created again",
        "✔  device",
    ] {
        assert!(said.contains(line), "`{line}` is not in\n{said}");
    }
}

#[test]
fn weights_that_are_absent_unset_or_cut_off_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Path::new(ROOT).join("assets/mini/dinov2/model.safetensors");
    let bytes = std::fs::read(whole).unwrap();
    std::fs::write(folder.path().join("model.safetensors"), &bytes[..bytes.len() - 5]).unwrap();
    let cut = format!("trainer.encoder.weights=\"{}\"", folder.path().display());
    let flags = ["--set", &cut, "--set", "generator.weights=no/such", "--set", "captioner.weights=\"\""];
    plan(&folder.path().join("store"), &flags).says(
        1,
        &[
            "✖  trainer.encoder.weights",
            "model.safetensors`: ",
            "✖  generator.weights",
            "glassctl models fetch",
            "`captioner.weights` is not set",
            "not ready",
        ],
    );
}

#[test]
fn a_store_that_cannot_be_written_and_a_device_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    plan(&file, &["--set", "execution.device=cuda"]).says(1, &["✖  store", "✖  device", "`cuda`"]);
}

#[test]
fn a_plan_is_also_json() {
    let folder = tempfile::tempdir().unwrap();
    let said = plan(&folder.path().join("store"), &["--json", "--set", "generator.weights=no/such"]);
    assert_eq!(said.code, 1, "{said:?}");
    let plan: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(plan["ready"], false);
    let checks = plan["checks"].as_array().unwrap();
    let failed: Vec<&str> =
        checks.iter().filter(|check| check["ok"] == false).filter_map(|check| check["name"].as_str()).collect();
    assert!(failed.contains(&"generator.weights"), "{failed:?}");
}
