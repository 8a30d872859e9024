//! `trainer data`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use glass_schemas::spec::{AnnotationFormat, ImagesSpec, StoreSpec};
use glass_stage::{Context, ExitStatus, Explain as _, WholeFile};

use super::JsonArgs;
use crate::data::annotated::{Access, DataError};
use crate::data::check::{ContactSheet, Report, check, detect};
use crate::eval::samples::png;

/// Annotated images: what is trained on and scored against.
#[derive(clap::Args, Clone, Debug)]
pub struct DataArgs {
    /// What is done with them
    #[command(subcommand)]
    pub command: DataCommand,
}

/// `trainer data …`
#[derive(clap::Subcommand, Clone, Debug)]
pub enum DataCommand {
    /// Say what was found, what is missing and what is wrong, and draw a contact sheet
    Check(CheckArgs),
}

/// Look at every picture and annotation of a set.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Exits with 1 where something is wrong.

Example:
  trainer data check VOCdevkit/VOC2012 --split val --sheet voc.png
  trainer data check val2017 --format coco --annotations instances_val2017.json --json")]
pub struct CheckArgs {
    /// Folder or URI: as it was unpacked, or with --annotations the folder of the pictures
    #[arg(value_name = "DIR|URI")]
    pub place: String,
    /// Format [default: told by the names of the files]
    #[arg(long, value_name = "FORMAT", value_parser = format_of)]
    pub format: Option<AnnotationFormat>,
    /// Which part: val2017, val, trainaug, … as the release names it
    #[arg(long, value_name = "NAME", default_value = "")]
    pub split: String,
    /// Annotation file, folder of instance maps, SBD's folder or masks dataset, by format
    #[arg(long, value_name = "FILE|DIR", default_value = "", requires = "format")]
    pub annotations: String,
    /// Folder of class maps
    #[arg(long, value_name = "DIR", default_value = "", requires = "format")]
    pub classes: String,
    /// Parquet: column of the pictures
    #[arg(long, value_name = "NAME", default_value = "image")]
    pub image_column: String,
    /// Parquet: column of the instance maps, empty for none
    #[arg(long, value_name = "NAME", default_value = "mask")]
    pub instance_column: String,
    /// Parquet: column of the class maps
    #[arg(long, value_name = "NAME", default_value = "")]
    pub class_column: String,
    /// Label of undecided pixels in label maps
    #[arg(long, value_name = "LABEL")]
    pub void: Option<u16>,
    /// Only the first so many pictures
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Draw a contact sheet here
    #[arg(long, value_name = "FILE.png")]
    pub sheet: Option<PathBuf>,
    /// Pictures on it
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub sheet_pictures: usize,
    /// How to answer
    #[command(flatten)]
    pub json: JsonArgs,
    /// Endpoint of an object store that is not the provider's own
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

fn format_of(name: &str) -> Result<AnnotationFormat, String> {
    let names = AnnotationFormat::ALL.map(AnnotationFormat::as_str);
    let found = AnnotationFormat::ALL.into_iter().find(|format| format.as_str() == name);
    found.ok_or_else(|| format!("not one of {}", names.join(", ")))
}

/// Prints what was found; problems make it the user's error.
///
/// # Errors
/// The user's: a set that cannot be found, or in which something is wrong.
pub async fn data(args: DataArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let DataCommand::Check(args) = args.command;
    tokio::task::spawn_blocking(move || run(&args, &context)).await?
}

fn run(args: &CheckArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let access = Access::of(&StoreSpec { endpoint: args.endpoint.clone(), ..StoreSpec::default() });
    let spec = explained(args.images(&access))?;
    let mut sheet = ContactSheet::new(args.sheet_pictures);
    let mut task = None;
    let report = check(&spec, &access, &mut sheet, &mut |all, looked_at| {
        let task = task.get_or_insert_with(|| context.progress.task("check", "pictures", all as u64));
        task.advance(looked_at as u64);
        if context.stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if let Some(task) = task {
        task.finish();
    }
    write(args, &report, &sheet)?;
    if report.interrupted {
        return Ok(ExitStatus::Interrupted);
    }
    match report.problems.as_slice() {
        [] => Ok(ExitStatus::Done),
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                1 => " (and one more problem)".to_owned(),
                more => format!(" (and {more} more problems)"),
            };
            let error = Err(anyhow::anyhow!("{}{more}", first.problem)).blame_user();
            match &first.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
    }
}

impl CheckArgs {
    /// The set that the flags mean.
    fn images(&self, access: &Access) -> Result<ImagesSpec, DataError> {
        // Formats whose release is one folder need no further name; the others are looked for by names.
        let told = |format: &AnnotationFormat| {
            let by_name =
                matches!(format, AnnotationFormat::Coco | AnnotationFormat::Objects365 | AnnotationFormat::LabelMaps);
            !by_name || !self.annotations.is_empty() || !self.classes.is_empty()
        };
        let found = match self.format.filter(told) {
            Some(format) => ImagesSpec {
                format,
                uri: self.place.clone(),
                annotations: self.annotations.clone(),
                classes: self.classes.clone(),
                split: self.split.clone(),
                ..ImagesSpec::default()
            },
            None => detect(&self.place, self.format, &self.split, access)?,
        };
        Ok(ImagesSpec {
            image_column: self.image_column.clone(),
            instance_column: self.instance_column.clone(),
            class_column: self.class_column.clone(),
            void: self.void,
            limit: self.limit,
            ..found
        })
    }
}

fn write(args: &CheckArgs, report: &Report, sheet: &ContactSheet) -> anyhow::Result<()> {
    if let (Some(path), Some(drawn)) = (&args.sheet, sheet.draw()) {
        WholeFile::write(path, png(&drawn)?).blame_user()?;
    }
    args.json.answer(report, &report.to_string()).or_else(super::judge::explained)
}

/// Marks an error of the data as the user's, with its hint.
fn explained<T>(result: Result<T, DataError>) -> anyhow::Result<T> {
    super::options::explained(result.map_err(crate::TrainerError::from))
}
