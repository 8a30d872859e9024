//! `glassctl diff`: what is different between two datasets of one kind.

mod captions;
mod masks;

use std::collections::{BTreeSet, HashMap};

use glass_dataset::{Columns, Dataset};
use glass_schemas::dataset::Row;
use glass_schemas::ids::{DatasetKind, SampleId, ShardIndex};
use glass_stage::{Context, ExitStatus, Explain};

use crate::target::StoreArgs;

/// Compare two masks or two captions datasets, sample by sample
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Masks: the IoU of each class over all pixels of the samples that both have, and the share of pixels on
which they agree; pixels that either calls uncertain are left out of both. Captions: those that differ
(- in A, + in B), then how many. `glassctl status` lists the ids.

Example:
  glassctl diff masks-0123456789abcdef masks-fedcba9876543210 --store demo-out
  glassctl diff captions-0123456789abcdef captions-fedcba9876543210 --store demo-out --json")]
pub struct DiffArgs {
    /// One dataset, by id
    #[arg(value_name = "A")]
    pub left: String,
    /// The other
    #[arg(value_name = "B")]
    pub right: String,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

/// How the samples of the two datasets meet.
#[derive(Debug, Default, serde::Serialize)]
struct Overlap {
    /// In both.
    samples: u64,
    only_in_a: u64,
    only_in_b: u64,
    /// Shards that are not committed in both; their samples are not counted.
    shards_skipped: u64,
}

/// Prints what is different.
///
/// # Errors
/// The user's: datasets that do not exist or cannot be compared; the store's.
pub async fn diff(args: DiffArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let left = args.target.dataset(&args.left).await?;
    let right = args.target.dataset(&args.right).await?;
    comparable(&left, &right)?;
    match left.id().kind() {
        DatasetKind::Masks => masks::diff(&left, &right, args.target.json, &context).await,
        DatasetKind::Captions => captions::diff(&left, &right, args.target.json, &context).await,
        kind => Err(anyhow::anyhow!("{kind} datasets cannot be compared"))
            .blame_user()
            .hint("give two masks or two captions datasets"),
    }
}

fn comparable(left: &Dataset, right: &Dataset) -> anyhow::Result<()> {
    let (a, b) = (left.identity(), right.identity());
    if a.id.kind() != b.id.kind() {
        return Err(anyhow::anyhow!("`{}` and `{}` are of different kinds", a.id, b.id)).blame_user();
    }
    if a.upstream == b.upstream && a.shards == b.shards {
        return Ok(());
    }
    Err(anyhow::anyhow!("`{}` and `{}` are cut into shards differently or made from different datasets", a.id, b.id))
        .blame_user()
        .hint("samples are matched shard by shard: compare siblings over the same upstream")
}

/// The shards that both have, and how many of the plan they have not.
async fn shards(left: &Dataset, right: &Dataset) -> anyhow::Result<(BTreeSet<ShardIndex>, u64)> {
    let (a, b) = (left.committed().await?, right.committed().await?);
    let both: BTreeSet<ShardIndex> = a.intersection(&b).copied().collect();
    let skipped = u64::from(left.identity().shards) - both.len() as u64;
    Ok((both, skipped))
}

/// The rows of a shard that both have, paired; the others are counted.
async fn pairs<R: Row>(
    left: &Dataset,
    right: &Dataset,
    shard: ShardIndex,
    sample: impl Fn(&R) -> SampleId,
    overlap: &mut Overlap,
) -> anyhow::Result<Vec<(R, R)>> {
    // An image that lies twice in a source is one sample twice.
    let mut others: HashMap<SampleId, Vec<R>> = HashMap::new();
    for row in rows(right, shard).await? {
        others.entry(sample(&row)).or_default().push(row);
    }
    let mut pairs = Vec::new();
    for row in rows::<R>(left, shard).await? {
        match others.get_mut(&sample(&row)).and_then(Vec::pop) {
            Some(other) => pairs.push((row, other)),
            None => overlap.only_in_a += 1,
        }
    }
    overlap.only_in_b += others.values().map(Vec::len).sum::<usize>() as u64;
    overlap.samples += pairs.len() as u64;
    Ok(pairs)
}

async fn rows<R: Row>(dataset: &Dataset, shard: ShardIndex) -> anyhow::Result<Vec<R>> {
    let mut rows = Vec::new();
    for batch in dataset.read_shard(shard, Columns::All).await? {
        rows.extend(R::decode(&batch)?);
    }
    Ok(rows)
}
