//! The verbs that start other programs: `plan`, `run`, `retry`, `regenerate`, `demo`.
//!
//! The programs are stand-ins whose datasets were written before (see [`Workshop`]), so that this is about
//! what is started, read and printed, and takes a second. `ci/checks/{plan,retry,demo-output}` run the real
//! ones.

use glass_dataset::Columns;
use glass_schemas::dataset::{GenerationRow, Row};
use glass_schemas::ids::ShardIndex;
use glass_schemas::spec::RunSpec;
use serde_json::json;

use crate::support::datasets::{add_round, mended};
use crate::support::snapshot::{Masked, check, check_masked};
use crate::support::workshop::{Workshop, rewrite};

/// Times of this machine.
const TOOK: [Masked; 2] = [Masked { after: "took   ", until: "\n" }, Masked { after: "\"seconds\": ", until: "\n" }];
/// What this machine has free.
const FREE: [Masked; 1] = [Masked { after: " needed, ", until: " free" }];
/// Shards are of four images in the small run; a plan measures four images in one shard.
const MEASURED: [&str; 2] = ["source.limit=4", "source.rows_per_shard=4"];

#[tokio::test]
async fn a_plan_lists_what_is_there_and_what_a_run_takes() {
    let (workshop, _) = Workshop::of_a_small_run().await;
    workshop.prepare(&workshop.spec(&MEASURED)).await;
    workshop.answers("captioner", "--list", "{\"images\":800,\"shards\":200}\n");
    let flags = ["--workers", "2"];
    check_masked("plan", &workshop.on_run(&["plan"], &flags), workshop.root(), &FREE);
    let json = workshop.on_run(&["plan"], &[&flags[..], &["--json"]].concat());
    check_masked("plan-json", &json, workshop.root(), &FREE);
    assert!(!workshop.path("store").join("captions").exists(), "a plan writes to no store");
    std::fs::remove_file(workshop.path("weights/model.safetensors")).unwrap();
    check("plan-not-ready", &workshop.on_run(&["plan"], &["--measure", "0"]), workshop.root());
}

#[tokio::test]
async fn a_run_tells_what_was_made() {
    let (workshop, _) = Workshop::of_a_small_run().await;
    workshop.ends_with("captioner", 3);
    trained(&workshop, "r");
    check_masked("run", &workshop.on_run(&["run"], &[]), workshop.root(), &TOOK);
    let whole = ["--until", "evaluation"];
    check_masked("run-evaluation", &workshop.on_run(&["run"], &whole), workshop.root(), &TOOK);
    let json = workshop.on_run(&["run"], &[&whole[..], &["--json"]].concat());
    check_masked("run-json", &json, workshop.root(), &TOOK);
    workshop.ends_with("sd-generator", 2);
    let broken = workshop.on_run(&["run"], &["--json"]);
    broken.says(2, &["sd-generator failed; the end of"]);
    assert_eq!(broken.stdout, "");
}

#[tokio::test]
async fn a_retry_tells_what_it_gained() {
    let (workshop, [captions, generations, ..]) = Workshop::of_a_small_run().await;
    workshop.on_run(&["run"], &[]).says(0, &[]);
    let (caption, drawing) = mended(0);
    add_round(&captions, 0, &[caption], &[]).await;
    add_round(&generations, 0, &[drawing], &[]).await;
    workshop.ends_with("captioner", 3);
    check("retry", &workshop.on_run(&["retry"], &[]), workshop.root());
    check("retry-json", &workshop.on_run(&["retry", "masks"], &["--json"]), workshop.root());
}

#[tokio::test]
async fn a_sample_made_again_is_compared_column_by_column() {
    let (workshop, [_, generations, ..]) = Workshop::of_a_small_run().await;
    workshop.on_run(&["run"], &[]).says(0, &[]);
    let batches = generations.read_shard(ShardIndex(0), Columns::All).await.unwrap();
    let mut rows: Vec<GenerationRow> = batches.iter().flat_map(|batch| GenerationRow::decode(batch).unwrap()).collect();
    let sample = rows[0].sample_id.to_string();
    check("regenerate", &workshop.on_run(&["regenerate", &sample], &[]), workshop.root());
    rows[0].latent[2] += 0.25;
    rows[0].prompt.push('!');
    rewrite(&generations, &workshop.prepared("sd-generator"), ShardIndex(0), &rows).await;
    let again = workshop.on_run(&["regenerate", &sample], &["--kind", "generations", "--json"]);
    check("regenerate-json", &again, workshop.root());
    again.says(1, &["2 of 13 columns", "hint: "]);
}

#[tokio::test]
async fn the_demo_ends_with_its_numbers_and_its_report() {
    let workshop = Workshop::new();
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/runs/mini/demo.toml");
    workshop.prepare(&RunSpec::load_with(std::path::Path::new(spec), &[]).unwrap()).await;
    // What makes the folder the root of a checkout.
    workshop.put("assets/mini/dinov2/config.json", "{}");
    for number in 0..8 {
        workshop.put(&format!("assets/scenes/train/{number:03}.jpg"), "a picture");
    }
    trained(&workshop, "r");
    check_masked("demo", &workshop.run(&["demo", "--out", "out"]), workshop.root(), &TOOK);
    check_masked("demo-json", &workshop.run(&["demo", "--out", "out", "--json"]), workshop.root(), &TOOK);
    let page = workshop.read("out/report.html");
    for part in ["a red bus", "0.571", "an attempt at a picture", "remove", "loss/total", "</html>"] {
        assert!(page.contains(part), "`{part}` is not in the report");
    }
}

/// What the trainer leaves of a run, and what it prints.
fn trained(workshop: &Workshop, run: &str) {
    let (eval, generated, composed) =
        (format!("runs/{run}/eval/e"), format!("runs/{run}/generated/g"), format!("runs/{run}/generated/c"));
    let put = |name: &str, contents: String| workshop.put(&format!("prepared/trainer/{name}"), contents);
    let metrics = json!({"miou_i": {"mean": 0.571, "sd": 0.003}});
    let methods = json!([{"method": "slots, attention masks", "seeds": [0, 1], "metrics": metrics}]);
    let results = json!({"eval_id": "e", "pictures": 2, "protocols": [{"id": "rules", "methods": methods}]});
    let views = json!([{"file": "x.png", "caption": "an attempt at a picture"}]);
    let samples = json!({"protocol": "rules", "samples": [{"image": "a.jpg", "views": views}]});
    put(&format!("{eval}/results.json"), results.to_string());
    put(&format!("{eval}/samples/samples.json"), samples.to_string());
    let edits =
        json!({"compositions": [{"edit": "remove", "image": "a.jpg", "slot": 2, "other": null, "other_slot": null}]});
    put(&format!("{composed}/compositions.json"), edits.to_string());
    for folder in [&generated, &composed] {
        put(&format!("{folder}/metrics.json"), json!({"scores": []}).to_string());
    }
    for picture in [format!("{eval}/samples/x.png"), format!("{generated}/grid.png"), format!("{composed}/sheet.png")] {
        put(&picture, "a picture".to_owned());
    }
    let losses =
        [3.0, 1.0].iter().zip(1..).map(|(loss, step)| format!("{}\n", json!({"step": step, "loss/total": loss})));
    put(&format!("runs/{run}/metrics.jsonl"), losses.collect());
    workshop.answers("trainer", "train", &format!("{run}\n"));
    workshop.answers("trainer", "evaluate", "protocol rules\nslots, attention masks  0.571 ± 0.003\n");
    workshop.answers("trainer", "--folder", &format!("{eval}\n"));
    workshop.answers("trainer", "generate", &format!("{generated}\n"));
    workshop.answers("trainer", "compose", &format!("{composed}\n"));
}
