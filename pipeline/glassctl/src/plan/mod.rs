//! `glassctl plan`: whether a run can be made, and what it takes, before an hour is spent on it.
//!
//! A checklist (programs, device, checkpoints, source, store), then the real stages on a few samples in
//! a store of their own: what they need in time, memory and bytes is measured, not guessed, and scaled
//! to the whole source.

mod checks;
mod estimate;
mod measure;
mod picture;

use anyhow::Context as _;
use glass_stage::{Context, ExitStatus, SpecArgs};

use crate::output;
use crate::runner::Programs;
use checks::Check;
use estimate::Estimate;
use measure::Bench;

/// Check a run before it starts: programs, device, weights, source, store; memory, bytes and time
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
The stages run on a few samples in a temporary store; nothing of it stays. Ends with 1 if something is
not as it must be.

Example:
  glassctl plan --spec manifests/runs/coco/glass.toml --store s3://bucket/glass --workers 8
  glassctl plan --spec run.toml --measure 0")]
pub struct PlanArgs {
    /// Spec and store
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Samples to measure the stages on; 0 measures nothing
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub measure: u32,
    /// Workers that will share each stage, for the time it takes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What is known of a run before it is made.
#[derive(Debug, serde::Serialize)]
struct Plan {
    /// Whether everything is as it must be.
    ready: bool,
    checks: Vec<Check>,
    images: Option<u64>,
    shards: Option<u64>,
    estimate: Option<Estimate>,
}

/// Prints the checklist and the estimate.
///
/// # Errors
/// A spec that cannot be read. What is wrong with the run is part of the answer, with exit code 1.
pub async fn plan(args: PlanArgs, threads: Option<usize>, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.spec.load()?;
    let root = std::env::current_dir().context("cannot find the current folder")?;
    let programs = Programs::find(&root, &context).await;
    let mut checks = vec![checks::programs(&programs)];
    checks.push(checks::device(&spec));
    checks.extend(checks::weights(&spec));
    checks.extend(checks::store(&spec).await);
    let (mut source, mut estimate) = (None, None);
    if let Ok(programs) = &programs {
        let bench = Bench { programs, spec: &args.spec, threads, context: &context };
        let listed = bench.source().await;
        checks.push(checks::source(&listed));
        source = listed.ok();
        if let Some(source) = source.as_ref().filter(|_| args.measure > 0 && checks.iter().all(|check| check.ok)) {
            let measured = bench.measure(args.measure).await;
            checks.push(checks::measured(&measured));
            if let Ok(stages) = measured {
                let made = estimate::estimate(&spec, source.images, u64::from(args.workers), stages);
                checks.extend(checks::room(&spec, &made));
                estimate = Some(made);
            }
        }
    }
    let plan = Plan {
        ready: checks.iter().all(|check| check.ok),
        checks,
        images: source.as_ref().map(|source| source.images),
        shards: source.as_ref().map(|source| source.shards),
        estimate,
    };
    match args.json {
        true => output::json(&plan)?,
        false => output::text(&picture::text(&plan))?,
    }
    Ok(match plan.ready {
        true => ExitStatus::Done,
        false => ExitStatus::UserError,
    })
}
