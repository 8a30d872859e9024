//! `glassctl regenerate`: one sample once more, compared with what is stored.

mod compare;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use glass_dataset::{Columns, Dataset, DatasetError, Store, StoreOptions};
use glass_schemas::ids::{DatasetKind, SampleId, ShardIndex};
use glass_schemas::spec::RunSpec;
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};

use crate::inspect::find::{Place, places};
use crate::runner::{Runner, STAGES, stopped_or};
use crate::scratch::Scratch;
use crate::{output, text};
use compare::{Difference, Tolerance, difference};

/// Make one sample again, alone, and compare it with what is stored, column by column
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Every stage that has a row of the sample makes it again into a folder of its own, from the stored inputs;
the store is not changed. Exits with 1 if a column comes out otherwise: pictures are compared by their
pixels (0 to 255), tensors by their values. What is made alone is rounded otherwise than in a batch, so a
level of a pixel and 1e-4 of a tensor count as the same; --tolerance 0 asks for the same bits.

Example:
  glassctl regenerate 0123456789abcdef0123456789abcdef --spec run.toml --store data
  glassctl regenerate 0123456789abcdef0123456789abcdef --spec run.toml --kind masks --json")]
pub struct RegenerateArgs {
    /// The sample
    #[arg(value_name = "SAMPLE")]
    pub sample: SampleId,
    /// Only its row in this dataset: captions, generations, attention or masks
    #[arg(long, value_name = "KIND")]
    pub kind: Option<DatasetKind>,
    /// Spec and store
    #[command(flatten)]
    pub spec: SpecArgs,
    /// Largest difference that counts as the same [default: what rounding makes]
    #[arg(long, value_name = "X")]
    pub tolerance: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// One column of the sample, stored and made again.
#[derive(Debug, serde::Serialize)]
struct Compared {
    dataset: String,
    column: String,
    #[serde(flatten)]
    difference: Difference,
}

/// Makes the sample again and prints what differs.
///
/// # Errors
/// The user's: a sample that no dataset of the spec has, or one that comes out otherwise; what a
/// stage could not do.
pub async fn regenerate(args: RegenerateArgs, threads: Option<usize>, context: Context) -> anyhow::Result<ExitStatus> {
    stopped_or(again(&args, threads, &context).await)
}

async fn again(args: &RegenerateArgs, threads: Option<usize>, context: &Context) -> anyhow::Result<ExitStatus> {
    let spec = args.spec.load()?;
    let store = SpecArgs::open_store(&spec)?;
    let stored = stored(&store, &spec, args).await?;
    let folder = Scratch::new()?;
    let runner = Runner::here(&args.spec, &folder.0.join("logs"), 1, threads, context).await?;
    let mut compared = Vec::new();
    for (index, (program, what, kinds)) in STAGES.into_iter().enumerate() {
        let rows: Vec<&Place> = kinds.iter().filter_map(|kind| stored.get(kind)).collect();
        let Some(shard) = rows.first().map(|place| place.shard) else {
            continue;
        };
        let into = folder.0.join(index.to_string()).to_string_lossy().into_owned();
        let only = format!("{}:{}", shard.0, args.sample);
        let flags = ["--only", &only, "--into", &into].map(str::to_owned);
        runner.pool(program, what, &flags, context).await?;
        let made = Store::open(&into, &StoreOptions::default())?;
        for place in rows {
            compared.extend(compare(&made, place, args.sample).await?);
        }
    }
    let tolerance = args.tolerance.map_or(Tolerance::ROUNDING, Tolerance::from);
    let wrong = compared.iter().filter(|it| !it.difference.within(tolerance)).count();
    match args.json {
        true => output::json(&compared)?,
        false => output::text(&table(&compared, wrong))?,
    }
    match wrong {
        0 => Ok(ExitStatus::Done),
        _ => Err(anyhow::anyhow!("{wrong} of {} columns of sample {} come out otherwise", compared.len(), args.sample))
            .blame_user()
            .hint("another device or another build rounds more: allow for it with --tolerance"),
    }
}

/// Where the sample's rows are in the datasets of the spec.
async fn stored(store: &Store, spec: &RunSpec, args: &RegenerateArgs) -> anyhow::Result<BTreeMap<DatasetKind, Place>> {
    let mut found = BTreeMap::new();
    for kind in DatasetKind::ALL {
        if args.kind.is_some_and(|wanted| wanted != kind) {
            continue;
        }
        let dataset = match Dataset::find(store, kind, spec).await {
            Ok(dataset) => dataset,
            Err(DatasetError::NotMade { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let rows = places(&dataset, &BTreeSet::from([args.sample])).await?;
        found.extend(rows.into_iter().next().map(|place| (kind, place)));
    }
    match found.is_empty() {
        false => Ok(found),
        true => {
            Err(anyhow::anyhow!("no dataset of `{}` has a row of sample {}", args.spec.path.display(), args.sample))
                .blame_user()
                .hint("`glassctl inspect` lists samples; one in quarantine is made again by `glassctl retry`")
        }
    }
}

/// The stored row beside the one just made.
async fn compare(made: &Store, place: &Place, sample: SampleId) -> anyhow::Result<Vec<Compared>> {
    let id = place.dataset.id();
    let again = Dataset::open(made, id).await?;
    let Some(new) = first_row(&again, place.shard).await? else {
        let failed = again.quarantine(place.shard).await?.pop();
        let message = failed.map_or_else(String::new, |row| format!(": {}", row.message));
        return Err(anyhow::anyhow!("sample {sample} of `{id}` could not be made again{message}")).blame_user();
    };
    let old = place.batch().await?;
    let fields = old.schema();
    let columns = fields.fields().iter().zip(old.columns().iter().zip(new.columns()));
    Ok(columns
        .map(|(field, (old, new))| Compared {
            dataset: id.to_string(),
            column: field.name().clone(),
            difference: difference(old, new),
        })
        .collect())
}

async fn first_row(dataset: &Dataset, shard: ShardIndex) -> anyhow::Result<Option<RecordBatch>> {
    let mut batches = dataset.stream_shard(shard, Columns::All).await?;
    while let Some(batch) = batches.try_next().await? {
        if batch.num_rows() > 0 {
            return Ok(Some(batch.slice(0, 1)));
        }
    }
    Ok(None)
}

fn table(compared: &[Compared], wrong: usize) -> String {
    let lines: Vec<[String; 3]> =
        compared.iter().map(|it| [it.dataset.clone(), it.column.clone(), it.difference.to_string()]).collect();
    let verdict = match wrong {
        0 => "all as stored, but for rounding".to_owned(),
        wrong => format!("{wrong} otherwise than stored"),
    };
    format!("{}{} columns, {verdict}\n", text::table(&lines), compared.len())
}
