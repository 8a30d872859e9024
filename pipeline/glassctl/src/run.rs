//! `glassctl run`: every stage of a spec on this machine.

use std::path::PathBuf;
use std::time::Instant;

use glass_stage::{Context, ExitStatus, SpecArgs};

use crate::made::{Evaluation, Made};
use crate::output;
use crate::runner::{Numbers, Runner, stopped_or};

/// How far to go.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Captions, generations, attention means and masks.
    Masks,
    /// Then the trained run.
    Training,
    /// Then its numbers.
    Evaluation,
}

/// Run every stage of a spec on this machine, with a pool of worker processes
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Run it again after an interruption: what is committed is not done again. Then look with
`glassctl inspect --store …`, or check every byte with `glassctl verify --store …`.

Example:
  glassctl run --spec manifests/runs/mini/demo.toml --store data --workers 2 --threads 1
  glassctl run --spec run.toml --until masks")]
pub struct RunArgs {
    /// Spec and store
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Worker processes of a stage; one a GPU, or with --threads 1 one a core
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: u16,
    /// The last step
    #[arg(long, value_enum, default_value = "masks")]
    pub until: Until,
    /// Folder for the programs' logs
    #[arg(long, value_name = "DIR", default_value = "logs")]
    pub logs: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the stages, then the trainer as far as asked.
///
/// # Errors
/// What a stage could not do; the end of its log was printed before.
pub async fn run(args: RunArgs, threads: Option<usize>, context: Context) -> anyhow::Result<ExitStatus> {
    let runner = Runner::here(&args.spec, &args.logs, args.workers, threads, &context).await?;
    stopped_or(steps(&args, &runner, &context).await)
}

async fn steps(args: &RunArgs, runner: &Runner, context: &Context) -> anyhow::Result<ExitStatus> {
    let started = Instant::now();
    let spec = args.spec.load()?;
    let store = SpecArgs::open_store(&spec)?;
    let status = runner.data(context).await?;
    let (mut run, mut numbers, mut evaluation) = (None, String::new(), None);
    if args.until != Until::Masks {
        run = Some(runner.train("train", &[], &[], context).await?.id);
    }
    if let (Until::Evaluation, Some(run)) = (args.until, &run) {
        numbers = runner.evaluate(run, Numbers::Table, context).await?;
        if args.json {
            // They are there now: this only asks where.
            let folder = runner.evaluate(run, Numbers::Folder, context).await?;
            evaluation = Some(Evaluation::at(&store, folder).await?);
        }
    }
    let made = Made { run, evaluation, ..Made::since(started, &store, &spec).await? };
    match args.json {
        true => output::json(&made)?,
        false => output::text(&made.text(&numbers))?,
    }
    Ok(status)
}
