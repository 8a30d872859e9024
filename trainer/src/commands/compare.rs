//! `trainer compare`.

use std::path::{Path, PathBuf};

use glass_stage::{Context, ExitStatus};

use super::judge::explained;
use crate::eval::EvalError;
use crate::eval::compare::{Difference, LEVEL, Scores, differences, read, scores};

/// Compare evaluations of the same images, image by image.
#[derive(clap::Args, Clone, Debug)]
pub struct CompareArgs {
    /// Per-image tables, or folders with a `per-image.parquet`; the first is what the others are compared
    /// with. Several joined by commas, e.g. of training seeds, are averaged image by image
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    pub runs: Vec<String>,
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
    /// Write the differences here; `-` for stdout instead of the table
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Prints a table of differences, or with `--json -` the differences.
///
/// # Errors
/// The user's: tables that cannot be read or have nothing in common.
pub async fn compare(args: CompareArgs, _: Context) -> anyhow::Result<ExitStatus> {
    match tokio::task::spawn_blocking(move || run(&args)).await? {
        Ok(()) => Ok(ExitStatus::Done),
        Err(error) => explained(error),
    }
}

fn run(args: &CompareArgs) -> Result<(), EvalError> {
    let method = |at: usize| -> Result<Option<&str>, EvalError> {
        match args.method.as_slice() {
            [] => Ok(None),
            [all] => Ok(Some(all)),
            each if each.len() == args.runs.len() => Ok(Some(&each[at])),
            each => Err(refuse(
                Path::new(&args.runs[0]),
                format!("cannot be compared: {} --method for {} RUN; give one for all or one each", each.len(), args.runs.len()),
            )),
        }
    };
    let load = |(at, run): (usize, &String)| Ok((run.clone(), load(run, method(at)?, args)?));
    let runs: Vec<(String, Scores)> = args.runs.iter().enumerate().map(load).collect::<Result<_, EvalError>>()?;
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
    let json = serde_json::to_string_pretty(&found).map_err(|error| EvalError::Table(error.into()))?;
    match &args.json {
        Some(path) if path == Path::new("-") => println!("{json}"),
        path => {
            if let Some(path) = path {
                std::fs::write(path, json + "\n").map_err(EvalError::write(path))?;
            }
            print!("{}", table(&found));
        }
    }
    Ok(())
}

fn load(run: &str, method: Option<&str>, args: &CompareArgs) -> Result<Scores, EvalError> {
    let mut rows = Vec::new();
    for path in tables(run) {
        rows.extend(read(&if path.is_dir() { path.join("per-image.parquet") } else { path })?);
    }
    let mut scores = scores(&rows, method).map_err(|problem| refuse(Path::new(run), problem))?;
    scores.retain(|(protocol, metric), _| {
        (args.protocol.is_empty() || args.protocol.contains(protocol)) && args.metric.contains(metric)
    });
    Ok(scores)
}

/// The tables of a RUN: itself, or its parts between commas.
fn tables(run: &str) -> Vec<PathBuf> {
    match Path::new(run).exists() {
        true => vec![run.into()],
        false => run.split(',').map(PathBuf::from).collect(),
    }
}

fn refuse(path: &Path, problem: String) -> EvalError {
    EvalError::Given {
        path: path.to_owned(),
        field: "the table".into(),
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
