//! `glassctl models`: published checkpoints, from the hub to a folder that the stages load.
//!
//! A checkpoint is described by a lock file (`manifests/weights/*.toml`): which files of which
//! repository at which commit, and their digests. What is downloaded lies in the cache that
//! Hugging Face's own tools use, so that nothing is held twice.

mod cache;
mod convert;
mod digest;
mod fetch;
mod hub;
mod list;
mod lock;
mod settings;
mod verify;

use glass_stage::{Context, ExitStatus};

pub use convert::ConvertArgs;
pub use fetch::FetchArgs;
pub use list::ListArgs;
pub use verify::VerifyArgs;

/// Fetch, check and convert published checkpoints
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Example:\n  glassctl models fetch dinov2-base\n  glassctl models verify dinov2-base")]
pub struct ModelsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// The commands of `glassctl models`.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum ModelsCommand {
    /// Download checkpoints
    Fetch(FetchArgs),
    /// Compare a checkpoint with its lock file
    Verify(VerifyArgs),
    /// Show what there is
    List(ListArgs),
    /// Turn PyTorch files into safetensors
    Convert(ConvertArgs),
}

/// Runs one of the commands.
///
/// # Errors
/// What the command says; its exit code and hint are marked on it.
pub async fn models(args: ModelsArgs, context: Context) -> anyhow::Result<ExitStatus> {
    match args.command {
        ModelsCommand::Fetch(args) => fetch::fetch(&args, &context).await,
        ModelsCommand::Verify(args) => verify::verify(&args, &context).await,
        ModelsCommand::List(args) => list::list(&args),
        ModelsCommand::Convert(args) => convert::convert(&args, &context),
    }
}
