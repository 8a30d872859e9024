//! Handing a run to a scheduler: what would be submitted, and what stand-ins of its programs are told.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Outcome;
use crate::support::snapshot::check;

const SPEC: &str = "version = 1\nname = \"night\"\n\n[source]\nuri = \"data/images\" # all of them\n";

/// A folder with a run spec, and programs that are found before any other.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        std::fs::write(folder.path().join("Night run.toml"), SPEC).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A scheduler's program that is this shell script; `$DESK` is the folder.
    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\nset -eu\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `glassctl submit …` in the checkout, on this desk's spec.
    fn submit(&self, arguments: &[&str]) -> Outcome {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_glassctl"));
        command
            .current_dir(checkout())
            .arg("submit")
            .arg("--spec")
            .arg(self.path("Night run.toml"))
            .args(arguments)
            .env("PATH", path)
            .env("DESK", self.folder.path())
            .env("GLASS_BIN", "programs")
            .env_remove("RUST_LOG");
        let outcome = Outcome::of(&mut command);
        Outcome { stdout: outcome.stdout.replace(checkout().to_str().unwrap(), "<checkout>"), ..outcome }
    }
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn what_slurm_would_get() {
    let desk = Desk::new();
    let run = ["--engine", "slurm", "--store", "s3://bucket/glass", "--workers", "8", "--at-once", "4", "--dry-run"];
    let changed = ["--set", "masks.low=0.4", "--set", "trainer.loss.semantic_ramp={ start = 1, end = 2 }"];
    let flags = ["--", "--partition=gpu", "--comment=it's ours"];
    check("submit-slurm", &desk.submit(&[&run[..], &changed, &flags].concat()), desk.folder.path());
    check("submit-slurm-json", &desk.submit(&[&run[..], &["--json"]].concat()), desk.folder.path());
}

#[test]
fn what_kubernetes_would_get() {
    let desk = Desk::new();
    let run = [
        "--engine",
        "kubernetes",
        "--store",
        "s3://bucket/glass",
        "--workers",
        "8",
        "--image",
        "team/glass:2",
        "--dry-run",
    ];
    let changed = ["--at-once", "3", "--set", "generator.class_prompt=a $(photo) of a {class}"];
    check("submit-kubernetes", &desk.submit(&[&run[..], &changed].concat()), desk.folder.path());
    let nightly = [&run[..], &["--schedule", "0 1 * * 6"]].concat();
    check("submit-kubernetes-nightly", &desk.submit(&nightly), desk.folder.path());
}

/// The dry run is a script, and running it calls sbatch as submitting does.
#[test]
fn slurm_jobs_wait_for_each_other() {
    let desk = Desk::new();
    desk.program("sbatch", "echo \"$GLASS_BIN $*\" >>\"$DESK/calls\"; echo \"$(wc -l <\"$DESK/calls\");cluster\"");
    let run = ["--engine", "slurm", "--store", "s3://bucket/glass", "--workers", "2", "--set", "name=a b"];
    check("submit-slurm-submitted", &desk.submit(&run), desk.folder.path());
    let calls = std::fs::read_to_string(desk.path("calls")).unwrap();
    let waits: Vec<&str> = calls.lines().map(|call| call.split(' ').nth(2).unwrap()).collect();
    let expected = ["--array=0-1", "--dependency=aftercorr:1", "--dependency=aftercorr:2", "--dependency=afterok:3"];
    assert_eq!(waits, expected, "{calls}");

    std::fs::remove_file(desk.path("calls")).unwrap();
    desk.program("sbatch", "echo \"$GLASS_BIN $*\" >>\"$DESK/calls\"; wc -l <\"$DESK/calls\"");
    let script = desk.submit(&[&run[..], &["--dry-run"]].concat()).stdout;
    let script = script.replace("<checkout>", checkout().to_str().unwrap());
    let path = format!("{}:/usr/bin:/bin", desk.path("bin").display());
    let ran = Command::new("sh").args(["-c", &script]).env("PATH", path).env("DESK", desk.folder.path()).status();
    assert!(ran.unwrap().success(), "{script}");
    assert_eq!(std::fs::read_to_string(desk.path("calls")).unwrap(), calls);
}

#[test]
fn kubectl_gets_what_the_dry_run_shows() {
    let desk = Desk::new();
    desk.program(
        "kubectl",
        "echo \"$*\" >\"$DESK/flags\"; cat >\"$DESK/applied\"; echo job.batch/one; echo job.batch/two",
    );
    let run = ["--engine", "kubernetes", "--store", "s3://bucket/glass", "--workers", "2"];
    let shown = desk.submit(&[&run[..], &["--dry-run"]].concat());
    let submitted = desk.submit(&[&run[..], &["--json", "--", "--namespace=ml"]].concat());
    submitted.says(0, &["\"job.batch/two\""]);
    assert_eq!(std::fs::read_to_string(desk.path("applied")).unwrap(), shown.stdout);
    assert_eq!(
        std::fs::read_to_string(desk.path("flags")).unwrap(),
        "apply --filename=- --output=name --namespace=ml\n"
    );
}

/// Another number of workers is another Job: Kubernetes refuses to change one.
#[test]
fn what_differs_has_another_name() {
    let desk = Desk::new();
    let name = |more: &[&str]| {
        let shown =
            desk.submit(&[&["--engine", "kubernetes", "--dry-run", "--json", "--store", "s3://b/g"], more].concat());
        let document: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
        document["run"].as_str().unwrap().to_owned()
    };
    let plain = name(&[]);
    assert_eq!(plain, name(&["--workers", "1"]));
    for more in [["--workers", "2"], ["--set", "masks.low=0.3"], ["--image", "glass:2"]] {
        assert_ne!(plain, name(&more), "{more:?}");
    }
}

#[test]
fn what_cannot_be_submitted_is_said_with_a_hint() {
    let desk = Desk::new();
    let slurm = ["--engine", "slurm", "--store", "s3://bucket/glass"];
    desk.submit(&[&slurm[..], &["--set", "masks.lo=0.4", "--dry-run"]].concat())
        .says(1, &["unknown field `lo`", "hint: did you mean `low`?"]);
    desk.submit(&[&slurm[..], &["--schedule", "0 1 * * *"]].concat()).says(1, &["for Kubernetes", "hint: "]);
    desk.submit(&[&slurm[..], &["--workers", "0"]].concat()).says(1, &["--workers"]);
    desk.program(
        "sbatch",
        "[ -e \"$DESK/one\" ] && { echo 'invalid partition' >&2; exit 1; }; touch \"$DESK/one\"; echo 77",
    );
    desk.submit(&slurm).says(1, &["`sbatch` refused: invalid partition", "hint: already submitted: `scancel 77`"]);
}

#[test]
fn a_scheduler_that_is_not_there_is_named() {
    let desk = Desk::new();
    let output = Command::new(env!("CARGO_BIN_EXE_glassctl"))
        .current_dir(checkout())
        .args(["submit", "--engine", "slurm", "--store", "memory://", "--spec"])
        .arg(desk.path("Night run.toml"))
        .env("PATH", desk.path("bin"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("`sbatch` is not installed here") && stderr.contains("hint: "), "{stderr}");
}
