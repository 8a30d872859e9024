//! `trainer compare`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use glass_dataset::{Store, StoreOptions};
use glass_stage::{Context, ExitStatus, WholeFile};

use super::JsonArgs;
use super::judge::explained;
use crate::eval::EvalError;
use crate::eval::coco::ValidationSet;
use crate::eval::compare::{Difference, LEVEL, Scores, differences, read, scores};
use crate::eval::differences::{RunMaps, draw};
use crate::eval::label_maps;

/// Compare evaluations of the same images, image by image.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  trainer compare spot-student/per-image.parquet glass/per-image.parquet
  trainer compare run-0123456789abcdef run-fedcba9876543210 --store demo-out --metric miou_i,mbo_i --json")]
pub struct CompareArgs {
    /// Per-image tables, folders with a `per-image.parquet`, or folders of runs that were evaluated once; with `--store`
    /// runs or `RUN/EVALUATION` of that store. The first is what the others are compared with. Several joined by commas,
    /// e.g. of training seeds, are averaged image by image
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    pub runs: Vec<String>,
    /// The store that the runs are in: a folder, `s3://…`, `gs://…` or `az://…`
    #[arg(long, value_name = "URI")]
    pub store: Option<String>,
    /// Compare this method, where a table has several; repeated, one for each RUN in their order
    #[arg(long, value_name = "NAME")]
    pub method: Vec<String>,
    /// Only these protocols
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub protocol: Vec<String>,
    /// Only these metrics
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "miou_i,miou_c,mbo_i,mbo_c,fg_ari,ari_c,corloc,object_recovery"
    )]
    pub metric: Vec<String>,
    /// Bootstrap means of an interval
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..))]
    pub resamples: u32,
    /// Seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Images named for every difference, those that differ most
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub images: usize,
    /// Draw those images with their truth and the masks of all runs, a PNG a metric, into this folder. The masks are
    /// the `label-maps.parquet` beside each table; of tables joined by commas, beside the first
    #[arg(long, value_name = "DIR", requires_all = ["image_folder", "annotations"])]
    pub pictures: Option<PathBuf>,
    /// Folder of the images, for `--pictures`
    #[arg(long, value_name = "DIR", requires = "pictures")]
    pub image_folder: Option<PathBuf>,
    /// COCO annotations of the images, for `--pictures`
    #[arg(long, value_name = "FILE", requires = "pictures")]
    pub annotations: Option<PathBuf>,
    /// How to answer
    #[command(flatten)]
    pub json: JsonArgs,
}

/// A run's files on this machine.
struct Files {
    /// As the user named it.
    name: String,
    /// One, or one a training seed.
    tables: Vec<PathBuf>,
    /// Label maps of the first.
    maps: PathBuf,
}

impl Files {
    /// From the table and label maps of every part of a RUN.
    fn of(name: &str, parts: Vec<[PathBuf; 2]>) -> Self {
        let maps = parts.first().map(|[_, maps]| maps.clone()).unwrap_or_default();
        Self { name: name.to_owned(), tables: parts.into_iter().map(|[table, _]| table).collect(), maps }
    }
}

const TABLE: &str = "per-image.parquet";

/// Prints a table of differences, or with `--json` the differences.
///
/// # Errors
/// The user's: tables that cannot be read or have nothing in common.
pub async fn compare(args: CompareArgs, _: Context) -> anyhow::Result<ExitStatus> {
    // Dropped, and with it the copies, when all is done.
    let copies = tempfile::tempdir()?;
    let files = match &args.store {
        None => args.runs.iter().map(|run| local(run)).collect(),
        Some(uri) => fetch(uri, &args.runs, args.pictures.is_some(), copies.path()).await?,
    };
    let compared = match files {
        Ok(files) => tokio::task::spawn_blocking(move || run(&args, &files)).await?,
        Err(error) => Err(error),
    };
    match compared {
        Ok(()) => Ok(ExitStatus::Done),
        Err(error) => explained(error),
    }
}

/// The files of a RUN: of itself, or of its parts between commas.
fn local(run: &str) -> Result<Files, EvalError> {
    let parts: Vec<&str> = if Path::new(run).exists() { vec![run] } else { run.split(',').collect() };
    let parts = parts.into_iter().map(|part| local_part(Path::new(part))).collect::<Result<_, _>>()?;
    Ok(Files::of(run, parts))
}

/// Table and label maps: of a table, of an evaluation's folder, or of a run's folder with one evaluation.
fn local_part(path: &Path) -> Result<[PathBuf; 2], EvalError> {
    if path.is_file() {
        return Ok([path.to_owned(), path.with_file_name(label_maps::FILE)]);
    }
    let folder = if path.join(TABLE).is_file() { path.to_owned() } else { only_evaluation(path)? };
    Ok([folder.join(TABLE), folder.join(label_maps::FILE)])
}

fn only_evaluation(run: &Path) -> Result<PathBuf, EvalError> {
    let entries = std::fs::read_dir(run.join("eval")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.join(TABLE).is_file()).collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(refuse(run, format!("has no `{TABLE}` and no evaluation with one"))),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            Err(refuse(run, format!("has several evaluations, name one: {}", names.join(", "))))
        }
    }
}

/// Copies what is needed of runs in a store into `folder`.
async fn fetch(
    uri: &str,
    runs: &[String],
    pictures: bool,
    folder: &Path,
) -> anyhow::Result<Result<Vec<Files>, EvalError>> {
    let store = Store::open(uri, &StoreOptions::default())?;
    let mut files = Vec::new();
    for run in runs {
        let mut parts = Vec::new();
        for part in run.split(',') {
            let key = match stored_table(&store, uri, part).await? {
                Ok(key) => key,
                Err(error) => return Ok(Err(error)),
            };
            let place = folder.join(part.replace('/', "-"));
            std::fs::create_dir_all(&place)?;
            let [table, maps] = [TABLE, label_maps::FILE].map(|name| place.join(name));
            std::fs::write(&table, store.get(&key).await?)?;
            let key = key.replace(TABLE, label_maps::FILE);
            if pictures && let Some(bytes) = store.get_if_there(&key).await? {
                std::fs::write(&maps, bytes)?;
            }
            parts.push([table, maps]);
        }
        files.push(Files::of(run, parts));
    }
    Ok(Ok(files))
}

/// The key of the table of `RUN` or `RUN/EVALUATION`.
async fn stored_table(store: &Store, uri: &str, run: &str) -> anyhow::Result<Result<String, EvalError>> {
    let mut keys = store.list_keys(&format!("runs/{}", run.split('/').next().unwrap_or(run))).await?;
    keys.sort();
    let wanted = |key: &String| match run.split_once('/') {
        Some((run, eval)) => *key == format!("runs/{run}/eval/{eval}/{TABLE}"),
        None => key.ends_with(&format!("/{TABLE}")),
    };
    keys.retain(wanted);
    if let [key] = keys.as_slice() {
        return Ok(Ok(key.clone()));
    }
    let names: Vec<&str> = keys.iter().filter_map(|key| key.rsplit('/').nth(1)).collect();
    let problem = match names.is_empty() {
        true => format!("was not evaluated in `{uri}`"),
        false => format!("has several evaluations, name one as `{run}/EVALUATION`: {}", names.join(", ")),
    };
    Ok(Err(refuse(Path::new(run), problem)))
}

fn run(args: &CompareArgs, files: &[Files]) -> Result<(), EvalError> {
    let load = |(at, files): (usize, &Files)| Ok((files.name.clone(), load(files, method(args, at)?, args)?));
    let runs: Vec<(String, Scores)> = files.iter().enumerate().map(load).collect::<Result<_, EvalError>>()?;
    let Some(((base, of_base), others)) = runs.split_first() else { return Ok(()) };
    let mut found = Vec::new();
    for (name, of_name) in others {
        let pair = [(base.as_str(), of_base), (name.as_str(), of_name)];
        let differences = differences(pair, args.resamples as usize, args.seed, args.images);
        if differences.is_empty() {
            return Err(refuse(Path::new(name), format!("has no image, protocol and metric in common with `{base}`")));
        }
        found.extend(differences);
    }
    if let Some(folder) = &args.pictures {
        pictures(args, files, &runs, &mut found, folder)?;
    }
    args.json.answer(&found, &table(&found))
}

/// Draws the images that differ most into `folder`, and notes the files in the differences.
fn pictures(
    args: &CompareArgs,
    files: &[Files],
    runs: &[(String, Scores)],
    found: &mut [Difference],
    folder: &Path,
) -> Result<(), EvalError> {
    let (Some(images), Some(annotations)) = (&args.image_folder, &args.annotations) else { return Ok(()) };
    let data = ValidationSet::open(images, annotations, None)?;
    let wanted: BTreeSet<String> =
        found.iter().flat_map(|difference| &difference.largest).map(|(image, _)| image.clone()).collect();
    let mut maps = Vec::new();
    for (at, files) in files.iter().enumerate() {
        if !files.maps.is_file() {
            return Err(EvalError::Given {
                path: PathBuf::from(&files.name),
                field: "the evaluation".into(),
                problem: format!("has no `{}` beside its table", label_maps::FILE),
                hint: "evaluate it again: `trainer evaluate` keeps the label maps of slots, and those of given masks \
                       with `--label-maps`"
                    .into(),
            });
        }
        let stored = label_maps::read(&files.maps, &wanted, method(args, at)?)?;
        maps.push(RunMaps { name: files.name.clone(), stored });
    }
    let value = |name: &str, difference: &Difference, image: &str| {
        let scores = &runs.iter().find(|(run, _)| run == name)?.1;
        let key = (difference.protocol.clone(), difference.metric.clone());
        scores.get(&key)?.get(image).copied()
    };
    std::fs::create_dir_all(folder).map_err(EvalError::write(folder))?;
    for difference in found {
        if let Some((file, png)) = draw(difference, &maps, &data, value)? {
            let path = folder.join(&file);
            WholeFile::write(&path, png).map_err(EvalError::Unfinished)?;
            difference.picture = Some(file);
        }
    }
    Ok(())
}

/// The method of a RUN: one for all, or one each.
fn method(args: &CompareArgs, at: usize) -> Result<Option<&str>, EvalError> {
    match args.method.as_slice() {
        [] => Ok(None),
        [all] => Ok(Some(all)),
        each if each.len() == args.runs.len() => Ok(Some(&each[at])),
        each => {
            let (methods, runs) = (each.len(), args.runs.len());
            let problem =
                format!("cannot be compared: {methods} --method for {runs} RUN; give one for all or one each");
            Err(refuse(Path::new(&args.runs[0]), problem))
        }
    }
}

fn load(files: &Files, method: Option<&str>, args: &CompareArgs) -> Result<Scores, EvalError> {
    let mut rows = Vec::new();
    for table in &files.tables {
        rows.extend(read(table)?);
    }
    let mut scores = scores(&rows, method).map_err(|problem| refuse(Path::new(&files.name), problem))?;
    scores.retain(|(protocol, metric), _| {
        (args.protocol.is_empty() || args.protocol.contains(protocol)) && args.metric.contains(metric)
    });
    Ok(scores)
}

fn refuse(path: &Path, problem: String) -> EvalError {
    EvalError::Given {
        path: path.to_owned(),
        field: "the run".into(),
        problem,
        hint: "runs can be compared that were evaluated on the same images under the same protocol".into(),
    }
}

/// One block a pair of runs and protocol, one line a metric.
fn table(differences: &[Difference]) -> String {
    let mut text = String::new();
    let mut head = None;
    for difference in differences {
        let Difference { protocol, metric, runs, images, means, difference, interval, .. } = difference;
        if head != Some((runs, protocol)) {
            let gap = if head.is_some() { "\n" } else { "" };
            text += &format!("{gap}protocol {protocol}: {} − {}\n", runs[1], runs[0]);
            text += &format!(
                "{:16} {:>7} {:>8} {:>8} {:>10}  {:.0} % interval\n",
                "",
                "images",
                "first",
                "second",
                "difference",
                100.0 * LEVEL
            );
            head = Some((runs, protocol));
        }
        let [low, high] = interval;
        text += &format!(
            "{metric:16} {images:>7} {:>8.4} {:>8.4} {difference:>+10.4}  [{low:+.4}, {high:+.4}]\n",
            means[0], means[1]
        );
    }
    text
}
