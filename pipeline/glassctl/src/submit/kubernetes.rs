//! Indexed Jobs, one a stage, or a CronJob, from the manifests with what is the run's filled in.

use std::path::Path;

use anyhow::Context as _;
use glass_stage::{ExitStatus, Explain};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::program::output;
use super::{STAGES, SubmitArgs, TRAINER};

/// What the manifests call a run.
const PLACEHOLDER: &str = "glass-run";
/// Of a run's name; with the prefix, the hash and the longest stage a Job's name has at most 63.
const NAME_LENGTH: usize = 16;

/// What `--json` shows.
#[derive(Debug, Serialize)]
struct Applied {
    /// The name that is in place of `glass-run`.
    run: String,
    /// What kubectl answered, by object; `null` in a dry run.
    objects: Option<Vec<String>>,
    /// What was, or would be, applied.
    manifests: String,
}

pub(super) async fn submit(args: &SubmitArgs, folder: &Path) -> anyhow::Result<ExitStatus> {
    let unreadable = || format!("cannot read `{}`", args.spec.path.display());
    let spec = std::fs::read_to_string(&args.spec.path).with_context(unreadable).blame_user()?;
    let run = run_name(args, &spec);
    let mut manifests = config_map(&run, &spec);
    for file in files(args) {
        let path = folder.join(file);
        let manifest =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display())).blame_user()?;
        manifests.push_str("---\n");
        manifests.push_str(&filled(&manifest, args, &run));
    }
    if args.dry_run {
        let applied = Applied { run, objects: None, manifests };
        match args.json {
            true => crate::output::json(&applied)?,
            false => crate::output::text(&applied.manifests)?,
        }
        return Ok(ExitStatus::Done);
    }
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["apply", "--filename=-", "--output=name"]).args(&args.engine_flags);
    let answer = output(kubectl, &manifests)
        .await
        .hint("a Job cannot be changed: delete the old one, the new one goes on where it was")?;
    match args.json {
        true => {
            let objects = Some(answer.lines().map(str::to_owned).collect());
            crate::output::json(&Applied { run, objects, manifests })?;
        }
        false => crate::output::text(&answer)?,
    }
    Ok(ExitStatus::Done)
}

fn files(args: &SubmitArgs) -> Vec<String> {
    match args.schedule {
        Some(_) => vec!["cronjob.yaml".to_owned()],
        None => STAGES.iter().chain([&TRAINER]).map(|name| format!("{name}.yaml")).collect(),
    }
}

/// A name that another spec, store or number of workers does not have: a Job cannot be changed, so
/// what differs must be another Job, and what is the same is left alone by kubectl.
fn run_name(args: &SubmitArgs, spec: &str) -> String {
    let mut name: String = args
        .spec
        .path
        .file_stem()
        .map(|stem| stem.to_string_lossy().to_lowercase())
        .unwrap_or_default()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .take(NAME_LENGTH)
        .collect();
    name = name.trim_matches('-').to_owned();
    let settings = (args.changes(), args.workers, args.at_once(), &args.image, &args.schedule);
    let hash = hex::encode(Sha256::digest(format!("{spec}\n{settings:?}")));
    let name = if name.is_empty() { "run" } else { &name };
    format!("glass-{name}-{}", &hash[..8])
}

/// The spec as the pods read it.
fn config_map(run: &str, spec: &str) -> String {
    let lines: Vec<String> = spec.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {run}\n  labels: \
         {{app.kubernetes.io/name: glass, app.kubernetes.io/instance: {run}}}\ndata:\n  run.toml: |\n{}\n",
        lines.join("\n")
    )
}

/// A manifest with the run's name, workers, image, times and flags. Line by line, so that comments
/// and whatever people added stay as they are.
fn filled(manifest: &str, args: &SubmitArgs, run: &str) -> String {
    let mut text = String::new();
    // A training is one pod.
    let shared = manifest.contains("--count=");
    for line in manifest.lines() {
        let (indent, content) = line.split_at(line.len() - line.trim_start().len());
        let value = match content.split_once([':', '=']).map(|(key, _)| key) {
            Some("completions") if shared => Some(format!("completions: {}", args.workers)),
            Some("parallelism") if shared => Some(format!("parallelism: {}", args.at_once())),
            Some("- --count") => Some(format!("- --count={}", args.workers)),
            Some("image") => Some(format!("image: {}", scalar(&args.image))),
            Some("schedule") => args.schedule.as_ref().map(|times| format!("schedule: {}", scalar(times))),
            _ => None,
        };
        let value = value.unwrap_or_else(|| content.replace(PLACEHOLDER, run));
        text.push_str(&format!("{indent}{value}\n"));
        if content.starts_with("- --spec=") {
            for flag in args.changes() {
                // `$(` would name a variable there, `$$(` stands for itself.
                text.push_str(&format!("{indent}- {}\n", scalar(&flag.replace("$(", "$$("))));
            }
        }
    }
    text
}

/// Text as a YAML scalar: a JSON string is one.
fn scalar(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
