//! `trainer evaluate`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use glass_nets::Backend;
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};

use super::answer::{Scored, results_of};
use super::judge::{JudgeArgs, explained, judge_masks};
use super::options::explained_any;
use super::{JsonArgs, RunOptions};
use crate::checkpoint::release::Release;
use crate::eval::EvalError;
use crate::eval::job::{Prepared, Request, stored, write};
use crate::eval::trained::{Fetched, TrainedSlots, WithImage, published};

/// What `trainer evaluate` scores: slots of a run, or with `--masks` masks made elsewhere.
#[derive(Clone, Debug)]
pub enum EvaluateArgs {
    /// Slots, and what they have to beat.
    Slots(SlotArgs),
    /// Given masks.
    Masks(JudgeArgs),
}

/// One set of flags or the other: which one, `--masks` decides.
impl clap::Args for EvaluateArgs {
    fn augment_args(command: Command) -> Command {
        let optional = |arg: Arg| arg.required(false);
        JudgeArgs::augment_args(SlotArgs::augment_args(command))
            .mut_arg("spec", |arg| arg.required(false).required_unless_present("masks").conflicts_with("masks"))
            .mut_arg("masks", |arg| arg.required(false).requires("annotations"))
            .mut_arg("annotations", optional)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for EvaluateArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if matches.contains_id("masks") {
            JudgeArgs::from_arg_matches(matches).map(Self::Masks)
        } else {
            let json = JsonArgs::from_arg_matches(matches)?;
            SlotArgs::from_arg_matches(matches).map(|args| Self::Slots(SlotArgs { json, ..args }))
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Score slots, and what they have to beat, on pictures with ground truth.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
With --masks masks made elsewhere are scored: no spec, run or weights are needed.

Example:
  trainer evaluate --run run-0123456789abcdef --spec run.toml --store demo-out
  trainer evaluate --masks predictions --annotations instances_val2017.json --protocol spot,oclf --json")]
pub struct SlotArgs {
    /// Spec and store.
    #[command(flatten)]
    pub options: RunOptions,
    /// Run whose checkpoint is scored; without it, only the methods beside
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Checkpoint of that run [default: the newest]
    #[arg(long, value_name = "STEP", requires = "run")]
    pub step: Option<u64>,
    /// A published checkpoint to score instead of a run: a folder of GLASS or Latent Slot Diffusion
    /// (`multiheadstevesa/`), or a safetensors file of SPOT or DINOSAUR. The encoder, and what a checkpoint does not say
    /// of itself, are the spec's
    #[arg(long, value_name = "PATH", conflicts_with_all = ["run", "masks"])]
    pub checkpoint: Option<PathBuf>,
    /// Pictures computed at once; never changes a number
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch_size: usize,
    /// Print the folder of the evaluation, below the store, instead of its table
    #[arg(long, conflicts_with = "masks")]
    pub folder: bool,
    /// How to answer; the flag is that of [`JudgeArgs`].
    #[arg(skip)]
    pub json: JsonArgs,
}

/// Scores slots or given masks.
///
/// # Errors
/// As the one of them that is asked for.
pub async fn evaluate(args: EvaluateArgs, context: Context) -> anyhow::Result<ExitStatus> {
    match args {
        EvaluateArgs::Slots(args) => evaluate_slots(args, context).await,
        EvaluateArgs::Masks(args) => judge_masks(args, context).await,
    }
}

/// Prints the table; files go to `runs/<run>/eval/<eval>/`. An evaluation that is there already is only printed.
///
/// # Errors
/// The user's (spec, data, weights) and the store's.
async fn evaluate_slots(args: SlotArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.options.spec()?;
    let seed = args.options.seed(&spec);
    let store = SpecArgs::open_store(&spec)?;
    let device = spec.execution.device.parse::<Backend>()?.device()?;
    let fetched = match &args.run {
        Some(run) => Some(Fetched::new(&store, run, args.step).await.blame_user()?),
        None => None,
    };
    let runtime = tokio::runtime::Handle::current();
    let (json, only_folder, results) = (args.json.clone(), args.folder, store.clone());
    let outcome = tokio::task::spawn_blocking(move || -> anyhow::Result<(String, Option<String>)> {
        let loaded = match (fetched, &args.checkpoint) {
            (Some(fetched), _) => Some(explained_any(fetched.load(&spec.trainer, &device, WithImage::No))?),
            (None, Some(path)) => {
                let release = super::options::explained(Release::open(path, &spec.trainer))?;
                Some(super::options::explained(published(release, &spec.trainer, &device, WithImage::No))?)
            }
            (None, None) => None,
        };
        let untrained = |slot_seed: u64, input_size: usize| -> Box<dyn crate::eval::model::SlotModel> {
            Box::new(TrainedSlots::untrained(&spec.trainer, input_size, seed.wrapping_add(slot_seed), &device))
        };
        let prepared = Prepared::new(Request {
            spec: &spec,
            candidate: loaded.as_ref().map(|loaded| &loaded.candidate),
            untrained: &untrained,
            slots: spec.trainer.slots.count,
            batch: args.batch_size,
            device: device.clone(),
        })
        .or_else(|error| match error.downcast() {
            Ok(error) => explained(error),
            Err(error) => Err(error).blame_user(),
        })?;
        let folder = prepared.folder();
        if let Some(text) = runtime.block_on(stored(&store, &folder))? {
            return Ok((folder, Some(text)));
        }
        let task = context.progress.task("evaluate", "pictures", prepared.pictures() as u64);
        let files = prepared.compute(|pictures| {
            task.advance(pictures as u64);
            if context.stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        task.finish();
        runtime.block_on(write(&store, &folder, files))?;
        Ok((folder.clone(), runtime.block_on(stored(&store, &folder))?))
    })
    .await?;
    match outcome {
        Ok((folder, text)) => {
            tracing::info!(folder, "evaluated");
            let text = if only_folder { format!("{folder}\n") } else { text.unwrap_or_default() };
            let scored = Scored { results: results_of(&results, &folder).await?, folder };
            json.answer(&scored, &text).or_else(explained)?;
            Ok(ExitStatus::Done)
        }
        Err(error) => match error.downcast() {
            Ok(EvalError::Interrupted) => Ok(ExitStatus::Interrupted),
            Ok(error) => explained(error),
            Err(error) => Err(error),
        },
    }
}
