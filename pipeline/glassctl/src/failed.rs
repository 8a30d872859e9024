//! `glassctl failed`: the samples in quarantine.

use glass_schemas::dataset::QuarantineRow;
use glass_stage::{Condition, ExitStatus};

use crate::output::{self, Array};
use crate::target::StoreArgs;

/// Show the samples that failed: stage, shard, sample, error class, attempt, message
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
A tab stands between columns: stage, shard, sample (- before it has an id), item, class, attempt,
message. KEY is stage, shard, sample, item, class or message; in PATTERN `*` stands for any text, and
all conditions must hold. Nothing is printed where nothing failed; `glassctl retry` makes failed samples
again.

Example:
  glassctl failed --store demo-out
  glassctl failed captions --store demo-out --where class=unreadable --where 'item=*.png'")]
pub struct FailedArgs {
    /// The dataset, by id or kind [default: every one]
    #[arg(value_name = "DATASET")]
    pub dataset: Option<String>,
    /// Show only these rows; may be repeated
    #[arg(long = "where", value_name = "KEY=PATTERN")]
    pub conditions: Vec<Condition>,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    dataset: String,
    #[serde(flatten)]
    row: &'a QuarantineRow,
}

/// Prints a line for each row, shard by shard.
///
/// # Errors
/// The user's (store, dataset, condition) and the store's.
pub async fn failed(args: FailedArgs) -> anyhow::Result<ExitStatus> {
    let mut array = args.target.json.then(Array::printed);
    for dataset in args.target.datasets(args.dataset.as_deref()).await? {
        for shard in dataset.committed().await? {
            for row in dataset.quarantine(shard).await? {
                if !args.conditions.iter().all(|condition| condition.holds(&row)) {
                    continue;
                }
                match &mut array {
                    Some(array) => array.add(&Line { dataset: dataset.id().to_string(), row: &row })?,
                    None => print(&row)?,
                }
            }
        }
    }
    array.map_or(Ok(()), Array::finish)?;
    Ok(ExitStatus::Done)
}

fn print(row: &QuarantineRow) -> anyhow::Result<()> {
    let sample = row.sample_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let columns = [
        &row.stage,
        &format!("{:05}", row.shard),
        &sample,
        &row.item,
        &row.error_class,
        &row.attempt.to_string(),
        // A message is one line wherever it came from.
        &row.message.replace(['\n', '\t'], " "),
    ];
    output::text(&format!("{}\n", columns.map(String::as_str).join("\t")))
}
