//! Job arrays, one a stage, and the training after them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_stage::{ExitStatus, Explain};
use serde::Serialize;
use tokio::process::Command;

use super::program::{output, quoted};
use super::{FOLDER, STAGES, SubmitArgs, TRAINER};
use crate::text;

/// One call of `sbatch`.
#[derive(Debug)]
struct Call<'a> {
    program: &'static str,
    tasks: u32,
    /// How the job waits for the one before it.
    dependency: Option<&'static str>,
    /// Flags of sbatch, but for the dependency.
    flags: Vec<String>,
    script: PathBuf,
    arguments: &'a [String],
}

impl Call<'_> {
    /// The command line, with the id of the job before.
    fn words(&self, before: Option<&str>) -> Vec<String> {
        let mut words = vec!["--parsable".to_owned()];
        if let (Some(kind), Some(job)) = (self.dependency, before) {
            words.push(format!("--dependency={kind}:{job}"));
        }
        words.extend(self.flags.iter().cloned());
        words.push(self.script.display().to_string());
        words.extend(self.arguments.iter().cloned());
        words
    }
}

/// A job as `--json` shows it.
#[derive(Debug, Serialize)]
struct Submitted {
    program: &'static str,
    tasks: u32,
    /// The job's id; `null` in a dry run.
    job: Option<String>,
    /// What sbatch was, or would be, called with.
    arguments: Vec<String>,
}

pub(super) async fn submit(args: &SubmitArgs, checkout: &Path) -> anyhow::Result<ExitStatus> {
    let mut arguments = vec![format!("--spec={}", args.spec.path.display())];
    arguments.extend(args.changes());
    let calls = calls(args, checkout, &arguments);
    let environment = environment(checkout)?;
    let submitted = match args.dry_run {
        true => calls.iter().map(|call| entry(call, None, call.words(Some("JOB")))).collect(),
        false => sbatch(&calls, &environment).await?,
    };
    match (args.json, args.dry_run) {
        (true, _) => crate::output::json(&submitted)?,
        (false, true) => crate::output::text(&script(&calls, &environment))?,
        (false, false) => crate::output::text(&table(&submitted))?,
    }
    Ok(ExitStatus::Done)
}

fn calls<'a>(args: &SubmitArgs, checkout: &Path, arguments: &'a [String]) -> Vec<Call<'a>> {
    let workers = args.workers.get();
    let throttle = match args.at_once() {
        all if all == args.workers => String::new(),
        some => format!("%{some}"),
    };
    let array = format!("--array=0-{}{throttle}", workers - 1);
    let script = |program| checkout.join(FOLDER).join("slurm").join(format!("{program}.sbatch"));
    let mut calls: Vec<Call<'a>> = STAGES
        .into_iter()
        .enumerate()
        .map(|(place, program)| Call {
            program,
            tasks: workers,
            // Shard k of a stage is made of shard k of the one before, and both stages have as many
            // workers, so a task needs what the task of its own number made and nothing else.
            dependency: (place > 0).then_some("aftercorr"),
            flags: std::iter::once(array.clone()).chain(args.engine_flags.iter().cloned()).collect(),
            script: script(program),
            arguments,
        })
        .collect();
    calls.push(Call {
        program: TRAINER,
        tasks: 1,
        dependency: Some("afterok"),
        flags: args.engine_flags.clone(),
        script: script(TRAINER),
        arguments,
    });
    calls
}

/// Where the scripts find the shared piece and the programs: sbatch hands it on to the tasks.
fn environment(checkout: &Path) -> anyhow::Result<[(&'static str, String); 2]> {
    let programs = match std::env::var("GLASS_BIN") {
        Ok(folder) => folder,
        Err(_) => {
            let this = std::env::current_exe().context("cannot find this program's own file")?;
            this.parent().unwrap_or(checkout).display().to_string()
        }
    };
    Ok([("GLASS_HOME", checkout.display().to_string()), ("GLASS_BIN", programs)])
}

async fn sbatch(calls: &[Call<'_>], environment: &[(&str, String)]) -> anyhow::Result<Vec<Submitted>> {
    let mut submitted: Vec<Submitted> = Vec::new();
    for call in calls {
        let before = submitted.last().and_then(|last| last.job.clone());
        let words = call.words(before.as_deref());
        let mut command = Command::new("sbatch");
        command.args(&words).envs(environment.iter().map(|(name, value)| (name, value)));
        let answer = match output(command, "").await {
            Ok(answer) => answer,
            Err(error) => return Err(error).hint(advice(&submitted)),
        };
        // `--parsable` answers `JOB` or `JOB;CLUSTER`.
        let job = answer.trim().split(';').next().unwrap_or_default().to_owned();
        anyhow::ensure!(!job.is_empty(), "`sbatch` named no job for {}", call.program);
        submitted.push(entry(call, Some(job), words));
    }
    Ok(submitted)
}

/// What to do when a later call fails: the earlier jobs are in the queue.
fn advice(submitted: &[Submitted]) -> String {
    let jobs: Vec<&str> = submitted.iter().filter_map(|entry| entry.job.as_deref()).collect();
    match jobs.is_empty() {
        true => "nothing was submitted; flags after `--` go to sbatch".to_owned(),
        false => format!("already submitted: `scancel {}` takes it back", jobs.join(" ")),
    }
}

fn entry(call: &Call<'_>, job: Option<String>, arguments: Vec<String>) -> Submitted {
    Submitted { program: call.program, tasks: call.tasks, job, arguments }
}

fn table(submitted: &[Submitted]) -> String {
    let rows: Vec<[String; 3]> = submitted
        .iter()
        .map(|entry| {
            let tasks = if entry.tasks == 1 { "task" } else { "tasks" };
            let job = entry.job.clone().unwrap_or_default();
            [job, entry.program.to_owned(), format!("{} {tasks}", entry.tasks)]
        })
        .collect();
    text::table(&rows)
}

/// The calls as a script that does the same.
fn script(calls: &[Call<'_>], environment: &[(&str, String)]) -> String {
    let mut script = String::from("set -eu\n");
    for (name, value) in environment {
        script.push_str(&format!("export {name}={}\n", quoted(value)));
    }
    for call in calls {
        // No word needs the shell but the job of the line before.
        let words = call.words(Some("JOB")).into_iter().map(|word| match word.strip_suffix(":JOB") {
            Some(dependency) if dependency.starts_with("--dependency=") => {
                format!("{dependency}:\"$job\"")
            }
            _ => quoted(&word),
        });
        let words: Vec<String> = words.collect();
        script.push_str(&format!("job=$(sbatch {}) && echo \"$job {}\"\n", words.join(" "), call.program));
    }
    script
}
