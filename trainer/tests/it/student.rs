//! A SPOT student: a method that needs another's run.

use std::path::Path;
use std::process::{Command, Output};

use crate::command::{metrics, prepared, run_id, trainer};

/// Overrides that make a small run of SPOT on the embedded encoder.
fn spot<'a>(method: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let changes = [
        method,
        "trainer.encoder.kind=dinov2",
        "trainer.features.token_share=1.0",
        "trainer.phase1.steps=3",
        "trainer.phase1.warmup=1",
        "trainer.phase2.steps=0",
    ];
    changes.iter().chain(more).flat_map(|change| ["--set", change]).collect()
}

#[test]
fn a_student_learns_from_the_masks_of_a_finished_run_and_is_scored_by_its_decoder() {
    let folder = prepared();
    let folder = folder.path();
    let orphan = trainer(folder, &spot("method=spot-student", &[]));
    assert_eq!(orphan.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&orphan.stderr).contains("trainer.guidance.teacher"));

    let teacher = run_id(&trainer(folder, &spot("method=spot-teacher", &[])));
    let named = format!("trainer.guidance.teacher={teacher}");
    let student = spot("method=spot-student", &[&named, "trainer.encoder.train_from=4"]);
    let id = run_id(&trainer(folder, &student));
    let text = metrics(folder, &id);
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    for loss in ["loss/semantic", "loss/instance"] {
        assert!(last[loss].as_f64().unwrap() > 0.0, "{last}");
    }

    // The blocks that are trained are saved, and what they are trained from is not.
    let record = std::fs::read_to_string(folder.join("store/runs").join(&id).join("commits/00000003.json"));
    let record: serde_json::Value = serde_json::from_str(&record.unwrap()).unwrap();
    let objects = record["objects"].as_object().unwrap();
    for name in ["encoder/model.safetensors", "transformerdecoder/model.safetensors", "optimizer/encoder.bpk"] {
        assert!(objects.contains_key(name), "{name} of {objects:?}");
    }

    let scenes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/scenes/val");
    let places = [
        format!("evaluation.images={}", scenes.display()),
        format!("evaluation.instances={}", scenes.join("instances.json").display()),
    ];
    let mut scored = student.clone();
    for change in [
        places[0].as_str(),
        places[1].as_str(),
        "evaluation.limit=2",
        "evaluation.input_size=128",
        "evaluation.mask_size=128",
        "evaluation.slot_seeds=[0]",
    ] {
        scored.extend(["--set", change]);
    }
    let table = evaluate(folder, &id, &scored);
    for row in ["slots, decoder masks", "slots, decoder masks of all orders", "untrained slots"] {
        assert!(table.contains(row), "{table}");
    }

    // Its slots mean nothing to Stable Diffusion.
    let drawn = program("generate", folder, &id, &student);
    let message = String::from_utf8_lossy(&drawn.stderr).into_owned();
    assert_eq!(drawn.status.code(), Some(1), "{message}");
    assert!(message.contains("trainer.image.kind") && message.contains("hint: "), "{message}");

    let stranger = spot("method=spot-student", &["trainer.guidance.teacher=run-0000000000000000"]);
    let refused = trainer(folder, &stranger);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("hint"));
}

fn evaluate(folder: &Path, run: &str, more: &[&str]) -> String {
    let output = program("evaluate", folder, run, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn program(command: &str, folder: &Path, run: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args([command, "--run", run, "--spec"])
        .arg(folder.join("spec.toml"))
        .arg("--store")
        .arg(folder.join("store"))
        .args(more)
        .output()
        .unwrap()
}
