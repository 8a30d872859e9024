//! The command line.

use crate::benchmark::{BenchmarkArgs, benchmark};
use crate::card::{CardArgs, card};
use crate::demo::{DemoArgs, demo};
use crate::diff::{DiffArgs, diff};
use crate::export::{ExportArgs, export};
use crate::failed::{FailedArgs, failed};
use crate::gc::{GcArgs, gc};
use crate::inspect::{InspectArgs, inspect};
use crate::models::{ModelsArgs, models};
use crate::nets::{NetsArgs, nets};
use crate::plan::{PlanArgs, plan};
use crate::regenerate::{RegenerateArgs, regenerate};
use crate::retry::{RetryArgs, retry};
use crate::run::{RunArgs, run as run_here};
use crate::status::{StatusArgs, status};
use crate::submit::{SubmitArgs, submit};
use crate::verify::{VerifyArgs, verify};
use glass_stage::{Context, EXIT_CODES, ExitStatus, ProcessArgs};

/// Look after GLASS datasets and runs.
#[derive(clap::Parser)]
#[command(name = "glassctl", version, after_help = EXIT_CODES)]
pub struct Args {
    #[command(flatten)]
    process: ProcessArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Demo(DemoArgs),
    Benchmark(BenchmarkArgs),
    Plan(PlanArgs),
    Run(RunArgs),
    Status(StatusArgs),
    Verify(VerifyArgs),
    Failed(FailedArgs),
    Retry(RetryArgs),
    Regenerate(RegenerateArgs),
    Gc(GcArgs),
    Diff(DiffArgs),
    Submit(SubmitArgs),
    Export(ExportArgs),
    Inspect(InspectArgs),
    Card(CardArgs),
    Nets(NetsArgs),
    Models(ModelsArgs),
}

impl AsRef<ProcessArgs> for Args {
    fn as_ref(&self) -> &ProcessArgs {
        &self.process
    }
}

/// Runs a command.
///
/// # Errors
/// What the command could not do.
pub async fn run(args: Args, context: Context) -> anyhow::Result<ExitStatus> {
    let threads = args.process.threads;
    match args.command {
        Command::Demo(args) => demo(args, context).await,
        Command::Benchmark(args) => benchmark(args, threads, context).await,
        Command::Plan(args) => plan(args, threads, context).await,
        Command::Run(args) => run_here(args, threads, context).await,
        Command::Status(args) => status(args).await,
        Command::Verify(args) => verify(args, context).await,
        Command::Failed(args) => failed(args).await,
        Command::Retry(args) => retry(args, threads, context).await,
        Command::Regenerate(args) => regenerate(args, threads, context).await,
        Command::Gc(args) => gc(args, context).await,
        Command::Diff(args) => diff(args, context).await,
        Command::Submit(args) => submit(args).await,
        Command::Export(args) => export(args, context).await,
        Command::Inspect(args) => inspect(args).await,
        Command::Card(args) => card(args).await,
        Command::Nets(args) => nets(args),
        Command::Models(args) => models(args, context).await,
    }
}
