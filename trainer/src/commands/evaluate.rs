//! `trainer evaluate`.

use std::ops::ControlFlow;

use glass_nets::Backend;
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};

use super::RunOptions;
use crate::eval::EvalError;
use crate::eval::job::{Prepared, Request, stored, write};
use crate::eval::trained::{Fetched, TrainedSlots, WithUnet};

/// Score slots, and what they have to beat, on pictures with ground truth.
#[derive(clap::Args, Clone, Debug)]
pub struct EvaluateArgs {
    /// Spec and store.
    #[command(flatten)]
    pub options: RunOptions,
    /// Run whose checkpoint is scored; without it, only the methods beside
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Checkpoint of that run [default: the newest]
    #[arg(long, value_name = "STEP", requires = "run")]
    pub step: Option<u64>,
    /// Pictures computed at once; never changes a number
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch_size: usize,
}

/// Prints the table; files go to `runs/<run>/eval/<eval>/`. An evaluation that is there already is only printed.
///
/// # Errors
/// The user's (spec, data, weights) and the store's.
pub async fn evaluate(args: EvaluateArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.options.spec()?;
    let seed = args.options.seed(&spec);
    let store = SpecArgs::open_store(&spec)?;
    let device = spec.execution.device.parse::<Backend>()?.device()?;
    let fetched = match &args.run {
        Some(run) => Some(Fetched::new(&store, run, args.step).await.blame_user()?),
        None => None,
    };
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::spawn_blocking(move || -> anyhow::Result<(String, Option<String>)> {
        let diffusion = &spec.trainer.diffusion;
        let loaded = fetched.map(|fetched| fetched.load(diffusion, &device, WithUnet::No)).transpose()?;
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
        .blame_user()?;
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
            print!("{}", text.unwrap_or_default());
            Ok(ExitStatus::Done)
        }
        Err(error) if matches!(error.downcast_ref(), Some(EvalError::Interrupted)) => Ok(ExitStatus::Interrupted),
        Err(error) => Err(error),
    }
}
