//! `trainer`: train slots, score them, draw from them.

use std::process::ExitCode;

use glass_stage::ProcessArgs;
use glass_trainer::commands::{TrainArgs, train};

/// Trains slots on generated images and looks at what they learned.
#[derive(clap::Parser)]
#[command(name = "trainer", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Train slots on generated images and their pseudo-masks
    Train(TrainArgs),
}

impl AsRef<ProcessArgs> for Cli {
    fn as_ref(&self) -> &ProcessArgs {
        &self.process
    }
}

fn main() -> ExitCode {
    glass_stage::stage_main("trainer", |cli: Cli, context| async move {
        match cli.command {
            Command::Train(args) => train(args, context).await,
        }
    })
}
