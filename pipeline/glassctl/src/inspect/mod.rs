//! `glassctl inspect`: one sample with everything known of it, or a sheet of samples.

pub(crate) mod find;
mod known;
mod panels;
mod sample;
mod sheet;

use std::path::{Path, PathBuf};

use glass_schemas::ids::SampleId;
use glass_stage::{ExitStatus, WholeFile};
use image::RgbImage;

use crate::report::pictures::png;
use crate::target::StoreArgs;

/// Show one sample with everything known of it, or a contact sheet
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
A sample is looked for in every dataset of the store (of the spec, if one is given), by the id of a real
or of a generated image; the caption of a generated image and what was drawn from a real one come with
it. --picture shows, for each mask of it, the picture, the mask over it, and each class alone: colours
are classes in their order, grey is uncertain, dark is the ground.

Without a sample the first ones of a masks or generations dataset are listed, a tab between sample, shard,
agreement of the mask (0 to 1, - without one) and prompt, and --picture shows them in this order, row by row, each beside its mask.

Example:
  glassctl inspect 0123456789abcdef0123456789abcdef --store demo-out --picture sample.png
  glassctl inspect --store demo-out --count 24 --picture sheet.png --json")]
pub struct InspectArgs {
    /// The sample
    #[arg(value_name = "SAMPLE_ID")]
    pub sample: Option<SampleId>,
    /// Without a sample: the dataset, by id or kind
    #[arg(long, value_name = "DATASET", default_value = "masks", conflicts_with = "sample")]
    pub dataset: String,
    /// Without a sample: how many
    #[arg(long, value_name = "N", default_value_t = 12, conflicts_with = "sample")]
    pub count: usize,
    /// Draw them here
    #[arg(long, value_name = "FILE.png")]
    pub picture: Option<PathBuf>,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

/// Prints what is known.
///
/// # Errors
/// The user's (store, dataset, sample) and the store's.
pub async fn inspect(args: InspectArgs) -> anyhow::Result<ExitStatus> {
    let picture = match args.sample {
        Some(id) => sample::inspect(&args, id).await?,
        None => sheet::inspect(&args).await?,
    };
    if let (Some(path), Some(picture)) = (&args.picture, picture) {
        save(path, &picture)?;
    }
    Ok(ExitStatus::Done)
}

fn save(path: &Path, picture: &RgbImage) -> anyhow::Result<()> {
    Ok(WholeFile::write(path, png(picture)?)?)
}
