//! What holds for the answer of every verb.

use clap::CommandFactory;
use serde_json::Value;

use crate::support::datasets::Shelf;
use crate::support::snapshot::check;

#[test]
fn every_verb_has_json_and_an_example_that_its_parser_takes() {
    assert_eq!(glass_stage::shortcomings(&glass_ctl::cli::Args::command()), Vec::<String>::new());
}

#[tokio::test]
async fn a_verb_that_fails_prints_no_document_and_says_why_on_standard_error() {
    let shelf = Shelf::new().await;
    let absent = "masks-0123456789abcdef";
    let failing: [&[&str]; 7] = [
        &["status", absent, "--json"],
        &["verify", absent, "--json"],
        &["failed", absent, "--json"],
        &["gc", absent, "--json"],
        &["card", absent, "--json"],
        &["inspect", "--dataset", absent, "--json"],
        &["diff", absent, absent, "--json"],
    ];
    for verb in failing {
        let outcome = shelf.run(verb);
        outcome.says(1, &["error: ", "there is no dataset", "hint: "]);
        assert_eq!(outcome.stdout, "", "{verb:?}");
        let outcome = shelf.run(&[verb, &["--log-format", "json"]].concat());
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{verb:?}");
        let said: Value = serde_json::from_str(outcome.stderr.lines().next_back().unwrap()).unwrap();
        assert_eq!((&said["message"], &said["exit_code"]), (&"failed".into(), &1.into()), "{said}");
        assert!(said["error"].as_str().unwrap().contains("there is no dataset"), "{said}");
        assert!(!said["hint"].as_str().unwrap().is_empty(), "{said}");
    }
}

#[tokio::test]
async fn a_verb_with_nothing_to_show_still_prints_a_document() {
    let shelf = Shelf::new().await;
    let nothing = shelf.run(&["failed", "--where", "class=none", "--json"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "[]\n"));
    let ids = [shelf.captions.id().to_string(), shelf.captions.id().to_string()];
    let same = shelf.run(&["diff", &ids[0], &ids[1], "--json"]);
    let document: Value = serde_json::from_str(&same.stdout).unwrap();
    assert_eq!((&document["changes"], &document["samples"]), (&Value::Array(vec![]), &9.into()));
}

#[tokio::test]
async fn a_card_is_that_of_the_manifest() {
    let shelf = Shelf::new().await;
    check("card", &shelf.run(&["card", "captions"]), shelf.root());
    check("card-json", &shelf.run(&["card", "captions", "--json"]), shelf.root());
    check("card-written", &shelf.run(&["card", "--write"]), shelf.root());
    shelf.run(&["card", "masks"]).says(1, &["has no manifest yet", "hint: "]);
}
