//! `glassctl submit`: hands a run to the scheduler that is there.
//!
//! The scheduler's own scripts and manifests (`manifests/cluster`) say what a task needs and what
//! becomes of its exit code; people edit them for their cluster. Here they only get what differs
//! from run to run: the flags of the programs, the number of workers and what waits for what.

mod kubernetes;
mod program;
mod slurm;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_stage::{ExitStatus, Explain, SpecArgs};

/// The stages, first to last; each has a script or a manifest of this name.
const STAGES: [&str; 3] = ["captioner", "sd-generator", "attention-mask-extractor"];
const TRAINER: &str = "trainer";

/// Where scripts and manifests lie in a checkout and beside installed programs.
const FOLDER: &str = "manifests/cluster";

/// A scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// Job arrays through `sbatch`.
    Slurm,
    /// Indexed Jobs through `kubectl apply`.
    Kubernetes,
}

/// Submit all stages and the training to Slurm or Kubernetes
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Slurm: an array for each stage; task k starts when task k of the stage before it has succeeded, the
training when all are done. Flags after `--` go to every sbatch and win over the scripts in
manifests/cluster/slurm. Paths must mean the same on every node.

Kubernetes: an Indexed Job for each stage, whose pods wait until the stage before is complete; flags after
`--` go to kubectl apply. The service account, the volume claim `glass-inputs` and the image must be there.

Submitting again does what is left.

Example:
  glassctl submit --engine slurm --spec run.toml --store s3://bucket/glass --workers 8 -- --partition=gpu
  glassctl submit --engine kubernetes --spec run.toml --store s3://bucket/glass --workers 8 --dry-run")]
pub struct SubmitArgs {
    /// The scheduler
    #[arg(long, value_enum, value_name = "ENGINE")]
    pub engine: Engine,
    /// Spec and store, as the stages get them
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Workers that share a stage
    #[arg(long, value_name = "N", default_value = "1")]
    pub workers: NonZeroU32,
    /// Workers that run at the same time [default: all]
    #[arg(long, value_name = "N")]
    pub at_once: Option<NonZeroU32>,
    /// Kubernetes: the image with the programs
    #[arg(long, value_name = "IMAGE", default_value = "glass:latest")]
    pub image: String,
    /// Kubernetes: a CronJob at these times instead of Jobs, e.g. `17 3 * * *`; without the training
    #[arg(long, value_name = "CRON")]
    pub schedule: Option<String>,
    /// Print what would be submitted
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Flags for sbatch or kubectl
    #[arg(last = true, value_name = "FLAG")]
    pub engine_flags: Vec<String>,
}

impl SubmitArgs {
    /// What the programs are told, but for the spec's path: `--set=…` and `--store=…`.
    fn changes(&self) -> Vec<String> {
        let set = self.spec.set.iter().map(|change| format!("--set={change}"));
        set.chain(self.spec.store.iter().map(|uri| format!("--store={uri}"))).collect()
    }

    fn at_once(&self) -> NonZeroU32 {
        self.at_once.unwrap_or(self.workers).min(self.workers)
    }
}

/// Submits, or shows what it would submit.
///
/// # Errors
/// The user's: a spec that is not right, a scheduler that is not there or refuses.
pub async fn submit(args: SubmitArgs) -> anyhow::Result<ExitStatus> {
    // A mistake in the spec should be found here, not by the first task an hour later.
    args.spec.load()?;
    let checkout = checkout()?;
    match args.engine {
        Engine::Slurm if args.schedule.is_some() => Err(anyhow::anyhow!("`--schedule` is for Kubernetes"))
            .blame_user()
            .hint("with Slurm, put this command into scrontab or cron: it does what is left"),
        Engine::Slurm => slurm::submit(&args, &checkout).await,
        Engine::Kubernetes => kubernetes::submit(&args, &checkout.join(FOLDER).join("kubernetes")).await,
    }
}

/// The folder that holds `manifests/cluster`: the current one, or the nearest above this program.
fn checkout() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let above = program.iter().flat_map(|file| file.ancestors().skip(1));
    let mut candidates = here.as_deref().into_iter().chain(above);
    candidates
        .find(|folder| folder.join(FOLDER).is_dir())
        .map(Path::to_owned)
        .with_context(|| format!("there is no `{FOLDER}` here or beside this program"))
        .blame_user()
        .hint("run it in a checkout of the repository")
}
