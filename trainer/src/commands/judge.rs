//! `trainer evaluate --masks`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use glass_stage::{Context, ExitStatus, Explain as _};

use crate::eval::annotations::Annotations;
use crate::eval::collect::Collector;
use crate::eval::given::{Missing, open};
use crate::eval::judge::{judge, numbers};
use crate::eval::{EvalError, Table, protocols};

/// Score masks made elsewhere; needs no picture, weight or spec.
#[derive(clap::Args, Clone, Debug)]
pub struct JudgeArgs {
    /// Masks made elsewhere: a folder of <file stem>.png (8 or 16 bits, each value a segment; palette indices, never
    /// colours), .npy or .npz, or one .npz, .json (COCO results) or .parquet file. At the image's size, or the centre
    /// square at the protocol's
    #[arg(long, value_name = "PATH")]
    pub masks: PathBuf,
    /// COCO annotations of the images (polygons, both forms of run lengths, crowds)
    #[arg(long, value_name = "FILE", requires = "masks")]
    pub annotations: PathBuf,
    /// Protocols: `all`, ids, or .toml files as in `manifests/eval`
    #[arg(long, value_name = "ID", requires = "masks", value_delimiter = ',', num_args = 1.., default_value = "all")]
    pub protocol: Vec<String>,
    /// Write the numbers here, a list of {protocol, metric, value, images}; `-` for stdout
    #[arg(long, value_name = "FILE", requires = "masks")]
    pub json: Option<PathBuf>,
    /// Write the scores of every image here, as Parquet
    #[arg(long, value_name = "FILE", requires = "masks")]
    pub per_image: Option<PathBuf>,
    /// What to do with images that have no mask: refuse, or leave them out of every mean
    #[arg(long, value_enum, requires = "masks", default_value = "refuse")]
    pub missing: Missing,
}

/// Prints the table, or with `--json -` the numbers.
///
/// # Errors
/// The user's: annotations, masks, protocols.
pub async fn judge_masks(args: JudgeArgs, context: Context) -> anyhow::Result<ExitStatus> {
    match tokio::task::spawn_blocking(move || run(&args, &context)).await? {
        Ok(()) => Ok(ExitStatus::Done),
        Err(EvalError::Interrupted) => Ok(ExitStatus::Interrupted),
        Err(error) => explained(error),
    }
}

/// Marks errors that the user has to mend, and says how.
pub(super) fn explained<T>(error: EvalError) -> anyhow::Result<T> {
    let (user, hint) = (error.is_user_input(), error.hint());
    let result = match hint {
        Some(hint) => Err(error).hint(hint),
        None => Err(error.into()),
    };
    if user { result.blame_user() } else { result }
}

fn run(args: &JudgeArgs, context: &Context) -> Result<(), EvalError> {
    let protocols = protocols::named(&args.protocol)?;
    let annotations = Annotations::open(&args.annotations, None)?;
    let source = open(&args.masks, &annotations, args.missing)?;
    let table = args.per_image.as_deref().map(create).transpose()?.map(BufWriter::new);
    let task = context.progress.task("evaluate", "images", annotations.pictures().len() as u64);
    let mut collector = Collector::new(&protocols, 0, table, |pictures| {
        task.advance(pictures as u64);
        if context.stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    judge(&annotations, &args.masks, source, &protocols, &mut collector)?;
    let collected = collector.finish()?;
    task.finish();
    if let (Some(mut table), Some(path)) = (collected.table, &args.per_image) {
        table.flush().map_err(EvalError::write(path))?;
    }
    let numbers =
        serde_json::to_string_pretty(&numbers(&collected.summary)).map_err(|error| EvalError::Table(error.into()))?;
    match &args.json {
        Some(path) if path == Path::new("-") => println!("{numbers}"),
        path => {
            if let Some(path) = path {
                std::fs::write(path, numbers + "\n").map_err(EvalError::write(path))?;
            }
            print!("{}", Table(&collected.summary));
        }
    }
    Ok(())
}

fn create(path: &Path) -> Result<File, EvalError> {
    File::create(path).map_err(EvalError::write(path))
}
