//! The command line of `trainer`.

use glass_stage::{Context, EXIT_CODES, ExitStatus, ProcessArgs};

use crate::commands::{
    AutoencoderArgs, CompareArgs, DataArgs, DrawArgs, Drawing, EvaluateArgs, ExplainArgs, ExportArgs, FidelityArgs,
    ProbeArgs, TrainArgs, autoencoder, compare, data, draw, evaluate, explain, export_run, fidelity, probe, train,
};

/// Trains slots on generated images and looks at what they learned.
#[derive(clap::Parser)]
#[command(name = "trainer", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    process: ProcessArgs,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Train slots on generated images and their pseudo-masks
    Train(TrainArgs),
    /// Train the autoencoder that a latent diffusion decoder works on
    Autoencoder(AutoencoderArgs),
    /// Score slots, and what they have to beat, or given masks, on pictures with ground truth
    Evaluate(EvaluateArgs),
    /// Compare evaluations of the same images, image by image
    Compare(CompareArgs),
    /// Look at the samples of one training step: which of them made its loss
    Explain(ExplainArgs),
    /// Write a checkpoint in the layout that GLASS and Latent Slot Diffusion publish
    Export(ExportArgs),
    /// Look at annotated images: what is there, what is wrong
    Data(DataArgs),
    /// Draw pictures again from their slots
    Generate(DrawArgs),
    /// Draw pictures after removing, adding and exchanging slots
    Compose(DrawArgs),
    /// Compare drawn pictures with real ones: FID, KID, LPIPS, PSNR, SSIM, CLIP image score
    Fidelity(FidelityArgs),
    /// Read properties of objects from frozen slots
    Probe(ProbeArgs),
}

impl AsRef<ProcessArgs> for Cli {
    fn as_ref(&self) -> &ProcessArgs {
        &self.process
    }
}

/// Runs a command.
///
/// # Errors
/// What the command could not do.
pub async fn run(cli: Cli, context: Context) -> anyhow::Result<ExitStatus> {
    match cli.command {
        Command::Train(args) => train(args, context).await,
        Command::Autoencoder(args) => autoencoder(args, context).await,
        Command::Evaluate(args) => evaluate(args, context).await,
        Command::Compare(args) => compare(args, context).await,
        Command::Explain(args) => explain(args, context).await,
        Command::Export(args) => export_run(args, context).await,
        Command::Data(args) => data(args, context).await,
        Command::Fidelity(args) => fidelity(args, context).await,
        Command::Probe(args) => probe(args, context).await,
        Command::Generate(args) => draw(Drawing::Reconstructions, args, context).await,
        Command::Compose(args) => draw(Drawing::Compositions, args, context).await,
    }
}
