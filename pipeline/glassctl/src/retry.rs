//! `glassctl retry`: failed samples once more, and what follows from those that succeed.

use std::path::PathBuf;

use glass_dataset::{Dataset, DatasetError, Standing, Store};
use glass_schemas::ids::DatasetKind;
use glass_schemas::spec::RunSpec;
use glass_stage::{Condition, Context, ExitStatus, Explain, SpecArgs};

use crate::runner::{Runner, STAGES, stopped_or};
use crate::{output, text};

/// Make failed samples again, then what later stages make of those that succeed
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Mend the cause first: put the file back, free the memory. Rows that are there stay as they are; new ones
are added to their shard, and what fails again stays in quarantine with its attempt counted. KEY is stage,
shard, sample, item, class or message; in PATTERN `*` stands for any text, and all conditions must hold.

Example:
  glassctl retry --spec run.toml --store data
  glassctl retry captions --spec run.toml --where class=unreadable --where 'item=*.png'")]
pub struct RetryArgs {
    /// Whose failed samples: captions, generations, attention or masks [default: every stage's]
    #[arg(value_name = "KIND")]
    pub kind: Option<DatasetKind>,
    /// Only these; may be repeated
    #[arg(long = "where", value_name = "KEY=PATTERN")]
    pub conditions: Vec<Condition>,
    /// Spec and store
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Worker processes of a stage
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: u16,
    /// Where the stages' logs go
    #[arg(long, value_name = "DIR", default_value = "logs")]
    pub logs: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What became of one dataset.
#[derive(Debug, serde::Serialize)]
struct Retried {
    dataset: String,
    rows_before: u64,
    rows: u64,
    quarantined_before: u64,
    quarantined: u64,
}

/// Runs the stages whose samples are meant, and those after them.
///
/// # Errors
/// The user's: a spec whose datasets were not begun; what a stage could not do.
pub async fn retry(args: RetryArgs, threads: Option<usize>, context: Context) -> anyhow::Result<ExitStatus> {
    stopped_or(stages(&args, threads, &context).await)
}

async fn stages(args: &RetryArgs, threads: Option<usize>, context: &Context) -> anyhow::Result<ExitStatus> {
    let runner = Runner::here(&args.spec, &args.logs, args.workers, threads, context).await?;
    let spec = args.spec.load()?;
    let store = SpecArgs::open_store(&spec)?;
    let mut status = ExitStatus::Done;
    let mut retried = Vec::new();
    for (program, what, kinds) in STAGES {
        let meant = args.kind.is_none_or(|kind| kinds.contains(&kind));
        if !meant && retried.is_empty() {
            continue;
        }
        let Some(datasets) = begun(&store, &spec, kinds).await? else {
            break;
        };
        let before = standings(&datasets).await?;
        let ended = runner.pool(program, what, &flags(meant, &args.conditions), context).await?;
        if ended == ExitStatus::DoneWithQuarantine {
            status = ended;
        }
        let after = standings(&datasets).await?;
        retried.extend(datasets.iter().zip(before.iter().zip(&after)).map(|(dataset, (before, after))| Retried {
            dataset: dataset.id().to_string(),
            rows_before: before.rows,
            rows: after.rows,
            quarantined_before: before.quarantined,
            quarantined: after.quarantined,
        }));
    }
    if retried.is_empty() {
        return Err(anyhow::anyhow!("nothing of `{}` is in the store `{}`", args.spec.path.display(), store.uri()))
            .blame_user()
            .hint("there is nothing to retry before the stage has run; `glassctl status` lists what is there");
    }
    match args.json {
        true => output::json(&retried)?,
        false => output::text(&table(&retried))?,
    }
    Ok(status)
}

/// The failed samples that are meant; of a stage further on, only what its inputs gained.
fn flags(meant: bool, conditions: &[Condition]) -> Vec<String> {
    let which = if meant { "failed" } else { "new" };
    let mut flags = vec!["--retry".to_owned(), which.to_owned()];
    if meant {
        flags.extend(conditions.iter().flat_map(|it| ["--where".to_owned(), it.to_string()]));
    }
    flags
}

/// The datasets of a stage, `None` if it has not begun.
async fn begun(store: &Store, spec: &RunSpec, kinds: &[DatasetKind]) -> anyhow::Result<Option<Vec<Dataset>>> {
    let mut datasets = Vec::new();
    for kind in kinds {
        match Dataset::find(store, *kind, spec).await {
            Ok(dataset) => datasets.push(dataset),
            Err(DatasetError::NotMade { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(datasets))
}

async fn standings(datasets: &[Dataset]) -> anyhow::Result<Vec<Standing>> {
    let mut standings = Vec::new();
    for dataset in datasets {
        standings.push(dataset.standing().await?);
    }
    Ok(standings)
}

fn table(retried: &[Retried]) -> String {
    let lines: Vec<[String; 3]> = retried
        .iter()
        .map(|it| {
            let gained = it.rows - it.rows_before;
            let rows = format!("{} rows ({gained} new)", it.rows);
            let left = format!("{} in quarantine ({} before)", it.quarantined, it.quarantined_before);
            [it.dataset.clone(), rows, left]
        })
        .collect();
    text::table(&lines)
}
