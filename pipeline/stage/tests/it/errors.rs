//! What the user sees, and the exit code.

use anyhow::Context as _;
use glass_stage::{Blame, ExitStatus, Explain};

use crate::process::{code, run};

#[test]
fn a_systematic_failure_stops_the_job_with_the_commonest_error() {
    let folder = tempfile::tempdir().unwrap();
    let (status, log) = run(folder.path(), &["--all-unreadable"]);
    assert_eq!(status, code(ExitStatus::UserError), "{log}");
    assert!(log.contains("unreadable: not a number (`number 0`)"), "{log}");
    assert!(log.contains("hint: "), "{log}");
    assert!(
        !folder
            .path()
            .join("masks")
            .read_dir()
            .unwrap()
            .any(|dataset| { dataset.unwrap().path().join("commits").exists() })
    );
}

#[test]
fn a_panic_in_the_worker_is_ours_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (status, log) = run(folder.path(), &["--panics-at", "100"]);
    assert_eq!(status, code(ExitStatus::OurError), "{log}");
    assert!(log.contains("cannot square 100"), "{log}");
}

#[test]
fn weights_that_do_not_load_are_reported_with_their_cause() {
    let folder = tempfile::tempdir().unwrap();
    let (status, log) = run(folder.path(), &["--no-weights"]);
    assert_eq!(status, code(ExitStatus::OurError), "{log}");
    assert!(log.contains("error: the worker cannot be made\n  caused by: no weights"), "{log}");
}

#[test]
fn a_wrong_flag_is_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let (status, log) = run(folder.path(), &["--btach-size", "3"]);
    assert_eq!(status, code(ExitStatus::UserError), "{log}");
    assert!(log.contains("--batch-size"), "{log}");
}

#[test]
fn an_unwritable_store_is_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let (status, log) = run(&file.join("store"), &[]);
    assert_eq!(status, code(ExitStatus::UserError), "{log}");
    assert!(log.contains("hint: check that the folder can be created"), "{log}");
}

#[test]
fn json_logs_are_one_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (status, log) = run(folder.path(), &["--log-format", "json", "--delay-ms", "0"]);
    assert_eq!(status, code(ExitStatus::DoneWithQuarantine), "{log}");
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.iter().find(|line| line["message"] == "progress").unwrap();
    assert_eq!(last["done"], last["total"]);
    assert!(lines.iter().any(|line| line["message"] == "dataset complete"));
}

#[test]
fn marks_and_hints_reach_the_user_through_any_context() {
    let marked = Err::<(), _>(std::io::Error::other("no such image"))
        .blame_user()
        .hint("look in the folder")
        .context("cannot list the source")
        .unwrap_err();
    assert_eq!(glass_stage::blame(&marked), Blame::User);
    assert_eq!(
        glass_stage::render(&marked),
        "error: cannot list the source\n  caused by: no such image\nhint: look in the folder"
    );
    let plain = anyhow::anyhow!("disk on fire");
    assert_eq!(glass_stage::status(&plain), ExitStatus::OurError);
}
