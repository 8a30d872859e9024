//! `glassctl export`: pictures and pseudo-masks as files that other tools read.

mod coco;
mod folder;
mod folders;
mod pictures;
mod webdataset;

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use glass_dataset::Dataset;
use glass_schemas::ids::{DatasetId, ShardIndex};
use glass_stage::{Context, ExitStatus};
use serde_json::Value;

use crate::joined::{Pair, Pairs, drawings_of};
use crate::output;
use crate::target::StoreArgs;
use coco::{Coco, Instances};
use folder::Folder;
use folders::Folders;
use pictures::Pictures;
use webdataset::WebDataset;

/// Write pictures and pseudo-masks in a layout that other tools read
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
coco        images/<sample id>.png and annotations/instances.json: run lengths, area, box and category of
            each object. Uncertain pixels are in no object.
png         image/<sample id>.jpg, mask/<sample id>.png (a palette index is a class id, 255 uncertain),
            prompts.json and classes.json: the folders of Dataset-Diffusion, which mmsegmentation reads.
webdataset  <shard>.tar of <sample id>.png, .mask.png and .json, and index.json.

The same dataset gives the same bytes. A shard that is written is not written again: run the same
command to go on after an interruption, or when more shards are committed.

Example:
  glassctl export --store demo-out --format coco --out coco
  glassctl export masks-0123456789abcdef --store s3://bucket/glass --format webdataset --out tars --json")]
pub struct ExportArgs {
    /// The masks dataset, by id or kind
    #[arg(value_name = "DATASET", default_value = "masks")]
    pub dataset: String,
    /// The layout
    #[arg(long, value_enum)]
    pub format: Layout,
    /// Where the files go
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// What one object is in COCO annotations
    #[arg(long, value_enum, default_value_t)]
    pub instances: Instances,
    /// How pictures are stored [default: `jpeg` for png, whose readers look for .jpg; else `as-stored`]
    #[arg(long, value_enum)]
    pub pictures: Option<Pictures>,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

/// A layout that other tools read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// COCO instances
    Coco,
    /// Folders of pictures and palette masks
    Png,
    /// Tar files
    Webdataset,
}

/// What is in a folder; a folder holds one export.
#[derive(serde::Serialize)]
struct Recipe<'a> {
    format: Layout,
    masks: &'a DatasetId,
    generations: &'a DatasetId,
    instances: Option<Instances>,
    pictures: Pictures,
}

/// How one layout is written. Everything of a shard but its part record may be written again.
trait Format: Send {
    /// Starts a shard.
    fn begin(&mut self, _: &Folder, _: ShardIndex) -> anyhow::Result<()> {
        Ok(())
    }

    /// Writes one sample, and tells what [`Format::assemble`] will want to know of it.
    fn add(&mut self, folder: &Folder, pair: &Pair) -> anyhow::Result<Value>;

    /// Ends a shard.
    fn end(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Writes what lists the samples of all shards.
    fn assemble(&self, folder: &Folder) -> anyhow::Result<()>;
}

#[derive(serde::Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    recipe: &'a Recipe<'a>,
    out: String,
    shards_planned: u32,
    /// In the folder now.
    shards: usize,
    /// Of these written by this run.
    shards_written: usize,
    samples: usize,
}

/// Writes every committed shard that is not there yet, then what lists the samples.
///
/// # Errors
/// The user's (store, dataset, folder), the store's and the disk's.
pub async fn export(args: ExportArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let masks = args.target.dataset(&args.dataset).await?;
    let drawings = drawings_of(&masks).await?;
    let pictures = args.pictures.unwrap_or(match args.format {
        Layout::Png => Pictures::Jpeg,
        Layout::Coco | Layout::Webdataset => Pictures::AsStored,
    });
    let instances = (args.format == Layout::Coco).then_some(args.instances);
    let (masks_id, generations) = (masks.id(), drawings.id());
    let recipe = Recipe { format: args.format, masks: masks_id, generations, instances, pictures };
    let folder = Folder::open(&args.out, &serde_json::to_value(&recipe)?)?;
    let mut format: Box<dyn Format> = match args.format {
        Layout::Coco => Box::new(Coco::new(&folder, &masks, args.instances, pictures)?),
        Layout::Png => Box::new(Folders::new(&folder, pictures)?),
        Layout::Webdataset => Box::new(WebDataset::new(pictures)),
    };
    let mut written = 0;
    let (retried, exported) = (masks.retries().await?, folder.counts()?);
    for shard in masks.committed().await? {
        let rows: u64 = match retried.contains_key(&shard) {
            true => masks.parts(shard).await?.iter().map(|part| part.rows).sum(),
            false => 0,
        };
        // A shard that gained rows since is written again.
        if folder.has(shard) && exported.get(&shard).is_some_and(|count| *count as u64 >= rows) {
            continue;
        }
        if !write_shard(&masks, &drawings, shard, format.as_mut(), &folder, &context).await? {
            return Ok(ExitStatus::Interrupted);
        }
        written += 1;
    }
    if written > 0 || !folder.assembled() {
        format.assemble(&folder)?;
        folder.set_assembled()?;
    }
    let counts = folder.counts()?;
    let summary = Summary {
        recipe: &recipe,
        out: folder.root().display().to_string(),
        shards_planned: masks.identity().shards,
        shards: counts.len(),
        shards_written: written,
        samples: counts.values().sum(),
    };
    match args.target.json {
        true => output::json(&summary)?,
        false => output::text(&line(&summary))?,
    }
    Ok(ExitStatus::Done)
}

/// Writes one shard; `false` if a signal asked to stop before its end.
async fn write_shard(
    masks: &Dataset,
    drawings: &Dataset,
    shard: ShardIndex,
    format: &mut dyn Format,
    folder: &Folder,
    context: &Context,
) -> anyhow::Result<bool> {
    let mut pairs = Pairs::open(masks, drawings, shard).await?;
    let mut part = folder.part(shard)?;
    // An image that lies twice in a source is one sample twice, under one name.
    let mut seen = HashSet::new();
    format.begin(folder, shard)?;
    while let Some(pair) = pairs.next().await? {
        if context.stop.is_set() {
            return Ok(false);
        }
        if seen.insert(pair.mask.sample_id) {
            part.add(pair.mask.sample_id, format.add(folder, &pair)?)?;
        }
    }
    format.end()?;
    folder.unset_assembled()?;
    part.finish()?;
    tracing::info!(%shard, samples = seen.len(), "exported");
    Ok(true)
}

fn line(summary: &Summary<'_>) -> String {
    let Summary { shards, shards_planned, shards_written, .. } = summary;
    format!(
        "{}: {} samples of {shards} shards ({shards_planned} planned, {shards_written} written now)\n",
        summary.out, summary.samples
    )
}

/// Writes a JSON array, an entry a line and one in memory.
fn json_array<T: serde::Serialize>(
    file: &mut impl Write,
    entries: impl Iterator<Item = anyhow::Result<T>>,
) -> anyhow::Result<()> {
    let mut array = output::Array::new(file);
    for entry in entries {
        array.add(&entry?)?;
    }
    array.end()
}
