//! `glassctl`: see the crate's documentation.

use glass_ctl::benchmark::{BenchmarkArgs, benchmark};
use glass_ctl::card::{CardArgs, card};
use glass_ctl::demo::{DemoArgs, demo};
use glass_ctl::diff::{DiffArgs, diff};
use glass_ctl::export::{ExportArgs, export};
use glass_ctl::failed::{FailedArgs, failed};
use glass_ctl::gc::{GcArgs, gc};
use glass_ctl::inspect::{InspectArgs, inspect};
use glass_ctl::models::{ModelsArgs, models};
use glass_ctl::nets::{NetsArgs, nets};
use glass_ctl::plan::{PlanArgs, plan};
use glass_ctl::regenerate::{RegenerateArgs, regenerate};
use glass_ctl::retry::{RetryArgs, retry};
use glass_ctl::run::{RunArgs, run as run_here};
use glass_ctl::status::{StatusArgs, status};
use glass_ctl::submit::{SubmitArgs, submit};
use glass_ctl::verify::{VerifyArgs, verify};
use glass_stage::{Context, ExitStatus, ProcessArgs};

/// Look after GLASS datasets and runs.
#[derive(clap::Parser)]
#[command(name = "glassctl", version)]
struct Args {
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

async fn run(args: Args, context: Context) -> anyhow::Result<ExitStatus> {
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

fn main() -> std::process::ExitCode {
    glass_stage::program_main("glassctl", run)
}
