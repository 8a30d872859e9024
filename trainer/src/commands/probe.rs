//! `trainer probe`.

use glass_nets::Backend;
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};

use super::answer::{Scored, results_of};
use super::judge::explained;
use super::options::explained_any;
use super::{JsonArgs, RunOptions};
use crate::eval::EvalError;
use crate::eval::job::{stored, write};
use crate::eval::trained::{Fetched, WithImage};
use crate::probe::job::Request;

/// Read properties of objects from frozen slots.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  trainer probe --run run-0123456789abcdef --spec run.toml --store demo-out")]
pub struct ProbeArgs {
    /// Spec and store.
    #[command(flatten)]
    pub options: RunOptions,
    /// Run whose slots are read
    #[arg(long, value_name = "RUN")]
    pub run: String,
    /// Checkpoint of that run [default: the newest]
    #[arg(long, value_name = "STEP")]
    pub step: Option<u64>,
    /// Pictures computed at once; never changes a number
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch_size: usize,
    /// How to answer
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Prints a table of the properties; files go to `runs/<run>/eval/probe-<name>/`. A probe that is there already is only
/// printed.
///
/// # Errors
/// The user's (spec, data, weights) and the store's.
pub async fn probe(args: ProbeArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.options.spec()?;
    let store = SpecArgs::open_store(&spec)?;
    let device = spec.execution.device.parse::<Backend>()?.device()?;
    let fetched = Fetched::new(&store, &args.run, args.step).await.blame_user()?;
    let runtime = tokio::runtime::Handle::current();
    let (json, results) = (args.json.clone(), store.clone());
    let outcome = tokio::task::spawn_blocking(move || -> anyhow::Result<(String, String)> {
        let loaded = explained_any(fetched.load(&spec.trainer, &device, WithImage::No))?;
        let request = Request { spec: &spec, candidate: &loaded.candidate, batch: args.batch_size, device };
        let (folder, pictures) = request.folder()?;
        if let Some(text) = runtime.block_on(stored(&store, &folder))? {
            return Ok((folder, text));
        }
        let id = folder.rsplit('/').next().unwrap_or_default().to_owned();
        let task = context.progress.task("probe", "pictures", pictures as u64);
        let progress = |pictures: usize| {
            task.advance(pictures as u64);
            !context.stop.is_set()
        };
        let report = request.compute(&id, progress, || context.stop.is_set())?;
        task.finish();
        let text = report.to_string();
        let files = vec![
            ("table.txt".to_owned(), text.clone().into_bytes()),
            ("results.json".to_owned(), serde_json::to_vec_pretty(&report)?),
        ];
        runtime.block_on(write(&store, &folder, files))?;
        Ok((folder, text))
    })
    .await?;
    match outcome {
        Ok((folder, text)) => {
            tracing::info!(folder, "probed");
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
