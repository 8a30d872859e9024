//! `trainer evaluate --masks`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use glass_stage::{Context, ExitStatus, Explain as _};

use super::JsonArgs;
use crate::data::annotated::{self as data, Access, AnnotatedImages, Faults};
use crate::data::check::detect;
use crate::eval::annotations::Annotations;
use crate::eval::collect::Collector;
use crate::eval::given::{Missing, UNDECIDED, open};
use crate::eval::judge::{Unit, judge, numbers};
use crate::eval::semantic::{self, ClassValues, SemanticTable};
use crate::eval::{EvalError, Table, protocols};

/// What the values of masks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// Each value is a segment.
    Segments,
    /// Each value is a class, and each connected part of a class a segment.
    Components,
    /// Each value is a class: class-wise IoU over the set.
    Semantic,
}

/// Score masks made elsewhere; needs no picture, weight or spec.
#[derive(clap::Args, Clone, Debug)]
pub struct JudgeArgs {
    /// Masks made elsewhere: a folder of <file stem>.png (8 or 16 bits, each value a segment; palette indices, never
    /// colours), .npy or .npz, or one .npz, .json (COCO results) or .parquet file. At the image's size, or the centre
    /// square at the protocol's
    #[arg(long, value_name = "PATH")]
    pub masks: PathBuf,
    /// Truth: COCO annotations (polygons, both forms of run lengths, crowds), or the folder of a set as it was unpacked
    /// (`trainer data check` says which are known: VOC 2012, label maps, …)
    #[arg(long, value_name = "FILE|DIR", requires = "masks")]
    pub annotations: PathBuf,
    /// Which part of the set in that folder: val2017, val, …
    #[arg(long, value_name = "NAME", requires = "masks", default_value = "")]
    pub split: String,
    /// What the values of the masks are: segments (whatever their values), class masks whose connected parts are
    /// segments, or classes that are compared with the classes of the annotations, at the images' own sizes
    #[arg(long, value_enum, requires = "masks", default_value = "segments")]
    pub level: Level,
    /// With `--level semantic`: which value is which class, a name of the annotations a line (the first is value 1) or
    /// `VALUE NAME` [default: value n is the n-th class of the annotations; 0 is ground, 255 undecided]
    #[arg(long, value_name = "FILE", requires = "masks")]
    pub classes: Option<PathBuf>,
    /// Protocols: `all`, ids, or .toml files as in `manifests/eval`
    #[arg(long, value_name = "ID", requires = "masks", value_delimiter = ',', num_args = 1.., default_value = "all")]
    pub protocol: Vec<String>,
    /// How to answer: with JSON, a list of {protocol, metric, value, images}
    #[command(flatten)]
    pub json: JsonArgs,
    /// Write the scores of every image here, as Parquet
    #[arg(long, value_name = "FILE", requires = "masks")]
    pub per_image: Option<PathBuf>,
    /// Write what was judged here, on the square of the first protocol, as Parquet: for the pictures of `compare`
    #[arg(long, value_name = "FILE", requires = "masks")]
    pub label_maps: Option<PathBuf>,
    /// What to do with images that have no mask: refuse, or leave them out of every mean
    #[arg(long, value_enum, requires = "masks", default_value = "refuse")]
    pub missing: Missing,
}

/// Prints the table, or with `--json` the numbers.
///
/// # Errors
/// The user's: annotations, masks, protocols.
pub async fn judge_masks(args: JudgeArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let task = tokio::task::spawn_blocking(move || match args.level {
        Level::Segments => objects(&args, Unit::Values, &context),
        Level::Components => objects(&args, Unit::Parts, &context),
        Level::Semantic => classes(&args, &context),
    });
    match task.await? {
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

/// Where truth is.
enum Truth {
    /// COCO's file; pictures are not looked for.
    File(Annotations),
    /// A set with its pictures.
    Set(AnnotatedImages),
}

impl Truth {
    fn open(args: &JudgeArgs) -> Result<Self, EvalError> {
        let path = &args.annotations;
        if !path.is_dir() {
            return Ok(Self::File(Annotations::open(path, None)?));
        }
        let (uri, access) = (path.display().to_string(), Access::local());
        let mut set = detect(&uri, None, &args.split, &access)?;
        if args.level == Level::Semantic {
            // Class maps mark undecided pixels as VOC's do; of instance maps 255 may be the 255th.
            set.void = set.void.or(Some(UNDECIDED as u16));
        }
        Ok(Self::Set(data::open(&set, &access, &mut Faults::Refuse)?))
    }

    fn annotations(&self) -> &Annotations {
        match self {
            Self::File(annotations) => annotations,
            Self::Set(set) => set.annotations(),
        }
    }
}

/// Discovery protocols.
fn objects(args: &JudgeArgs, unit: Unit, context: &Context) -> Result<(), EvalError> {
    refuse(args.classes.is_some(), "classes", "names what values mean; it is for `--level semantic`")?;
    let protocols = protocols::named(&args.protocol)?;
    let truth = Truth::open(args)?;
    let annotations = truth.annotations();
    let source = open(&args.masks, annotations, args.missing)?;
    let table = args.per_image.as_deref().map(create).transpose()?.map(BufWriter::new);
    let maps = args.label_maps.as_deref().map(create).transpose()?.map(BufWriter::new);
    let task = context.progress.task("evaluate", "images", annotations.pictures().len() as u64);
    let mut collector = Collector::new(&protocols, 0, table, |pictures| {
        task.advance(pictures as u64);
        if context.stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?
    .with_maps(maps)?;
    judge(annotations, &args.masks, source, unit, &protocols, &mut collector)?;
    let collected = collector.finish()?;
    task.finish();
    for (written, path) in [(collected.table, &args.per_image), (collected.maps, &args.label_maps)] {
        if let (Some(mut written), Some(path)) = (written, path) {
            written.flush().map_err(EvalError::write(path))?;
        }
    }
    args.json.answer(&numbers(&collected.summary), &Table(&collected.summary).to_string())
}

/// Class-wise IoU.
fn classes(args: &JudgeArgs, context: &Context) -> Result<(), EvalError> {
    let means = "is of single images; class-wise numbers are sums over the set";
    refuse(args.per_image.is_some(), "per-image", means)?;
    refuse(args.label_maps.is_some(), "label-maps", "is for object discovery")?;
    refuse(args.protocol != ["all"], "protocol", "is for object discovery")?;
    let truth = Truth::open(args)?;
    let annotations = truth.annotations();
    let names = semantic::class_names(annotations);
    let values = match &args.classes {
        Some(path) => ClassValues::read(path, &names)?,
        None => ClassValues::in_order(names.len()),
    };
    let source = open(&args.masks, annotations, args.missing)?;
    let task = context.progress.task("evaluate", "images", annotations.pictures().len() as u64);
    let found = semantic::judge(annotations, &args.masks, source, &values, |pictures| {
        task.advance(pictures as u64);
        if context.stop.is_set() { Err(EvalError::Interrupted) } else { Ok(()) }
    })?;
    task.finish();
    args.json.answer(&found.numbers(), &SemanticTable(&found).to_string())
}

/// Refuses a flag that the level has no use for.
fn refuse(given: bool, flag: &'static str, problem: &str) -> Result<(), EvalError> {
    if given { Err(EvalError::Flag { flag, problem: problem.to_owned() }) } else { Ok(()) }
}

fn create(path: &Path) -> Result<File, EvalError> {
    File::create(path).map_err(EvalError::write(path))
}
