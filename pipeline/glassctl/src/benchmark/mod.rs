//! `glassctl benchmark`: methods trained beside one another under an equal budget, and one page that
//! says what came of it.
//!
//! Everything is done by the programs of the pipeline in a local store, so everything that is there
//! already is reused: data by the ids of its datasets, trainings by those of their runs, numbers by those
//! of their evaluations. Killed anywhere, the same command goes on; a method that is added later trains
//! alone.

mod cost;
mod intervals;
mod methods;
mod outcome;
mod page;
mod published;
mod runs;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use glass_schemas::spec::RunSpec;
use glass_stage::{Context, ExitStatus, Explain, WholeFile};

use crate::runner::{self, Programs, Runner, stopped_or};
use crate::{output, text};
use methods::Method;
use outcome::Benchmark;
use runs::Bench;

const SPEC: &str = include_str!("../../../../manifests/runs/mini/benchmark.toml");

/// Train methods beside one another under an equal budget; writes one page with the table
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Methods, seeds and budget stand in the spec's [benchmark]. What is there already is reused, so the same
command goes on after an interruption, and a method added later trains alone. Then open benchmark.html in
the folder; benchmark.json beside it is what --json prints.

Example:
  glassctl benchmark --workers 2
  glassctl benchmark --methods glass,glass-semantic-only,glass-instance-only --seeds 0,1,2 --json")]
pub struct BenchmarkArgs {
    /// Run spec with a [benchmark] [default: the embedded mini scenes]
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// Change one value of the spec, e.g. `benchmark.steps=600`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Methods, in the order of the table [default: the spec's]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// Seeds of training [default: the spec's]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub seeds: Vec<u64>,
    /// A smoke run of less than a minute: three methods, few images, few steps, numbers without meaning
    #[arg(long)]
    pub quick: bool,
    /// Folder for datasets, runs, logs and the page
    #[arg(long, value_name = "DIR", default_value = "benchmark-out")]
    pub out: PathBuf,
    /// Trainings side by side, each on one thread unless --threads says otherwise
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: u16,
    /// Say what would be trained, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `--quick` changes.
const QUICK: [&str; 15] = [
    "source.limit=8",
    "source.rows_per_shard=4",
    "generator.steps=4",
    "benchmark.methods=[\"glass\", \"stable-lsd\", \"dinosaur-mlp\"]",
    "benchmark.seeds=[0]",
    "benchmark.steps=10",
    "benchmark.batch=4",
    "trainer.loss.semantic_ramp={ start = 2, end = 4 }",
    "trainer.phase1.warmup=2",
    "trainer.checkpoint.every=5",
    "trainer.track.log_every=2",
    "trainer.track.preview_every=0",
    "evaluation.limit=8",
    "evaluation.samples=4",
    "evaluation.slot_seeds=[0]",
];

/// Trains, evaluates, compares, and writes `benchmark.html` and `benchmark.json`.
///
/// # Errors
/// The user's (spec, methods, folder), and what a program could not do; the end of its log was printed.
pub async fn benchmark(args: BenchmarkArgs, threads: Option<usize>, context: Context) -> anyhow::Result<ExitStatus> {
    let started = Instant::now();
    let out = std::path::absolute(&args.out).context("cannot find the current folder")?;
    let mut set = args.set.clone();
    set.splice(0..0, QUICK.iter().filter(|_| args.quick).map(|change| (*change).to_owned()));
    set.extend(named("methods", args.methods.iter().map(|name| format!("\"{name}\""))));
    set.extend(named("seeds", args.seeds.iter().map(u64::to_string)));
    let root = match args.spec {
        Some(_) => std::env::current_dir().context("cannot find the current folder")?,
        None => runner::root()?,
    };
    let spec_file = match &args.spec {
        Some(path) => std::path::absolute(path)?,
        None => write_spec(&out)?,
    };
    let spec = RunSpec::load_with(&spec_file, &set)?;
    let methods = methods::chosen(&spec_file, &set, &spec.benchmark)?;
    if args.dry_run {
        match args.json {
            true => output::json(&methods)?,
            false => output::text(&table::plan(&methods, &spec.benchmark.seeds))?,
        }
        return Ok(ExitStatus::Done);
    }
    make(&out.join("logs"))?;
    let runner = Runner {
        programs: Programs::find(&root, &context).await?,
        root,
        spec: spec_file,
        store: Some(out.to_string_lossy().into_owned()),
        logs: out.join("logs"),
        scratch: Some(out.join("scratch")),
        set,
        workers: usize::from(args.workers),
        // At these sizes a second training side by side gains more than a second thread.
        threads: threads.or(Some(1)),
    };
    let outcome = steps(&runner, &spec, &methods, &out, &context).await;
    if let Ok((_, made)) = &outcome {
        match args.json {
            true => output::json(made)?,
            false => output::text(&table::text(made))?,
        }
        eprintln!("page: {}, done in {}", out.join(PAGE).display(), text::duration(started.elapsed()));
    }
    stopped_or(outcome.map(|(status, _)| status))
}

const PAGE: &str = "benchmark.html";

async fn steps(
    runner: &Runner,
    spec: &RunSpec,
    methods: &[Method],
    out: &Path,
    context: &Context,
) -> anyhow::Result<(ExitStatus, Benchmark)> {
    let bench = Bench { runner, context, spec: &spec.benchmark, methods, out };
    bench.reference().blame_user()?;
    let status = runner.data(context).await?;
    let measured = bench.all().await?;
    let untrained = bench.untrained().await?;
    let differences = intervals::differences(&bench, &measured).await?;
    let made = outcome::collect(&bench, &measured, &untrained, &differences)?;
    write(&out.join("benchmark.json"), &serde_json::to_vec_pretty(&made)?)?;
    write(&out.join(PAGE), page::draw(&made, &measured, out)?.as_bytes())?;
    Ok((status, made))
}

/// `benchmark.KEY=[…]`, where there is something.
fn named(key: &str, values: impl Iterator<Item = String>) -> Option<String> {
    let values: Vec<String> = values.collect();
    (!values.is_empty()).then(|| format!("benchmark.{key}=[{}]", values.join(", ")))
}

/// The embedded spec, beside its results so that every command can be repeated by hand.
fn write_spec(out: &Path) -> anyhow::Result<PathBuf> {
    make(out)?;
    let path = out.join("benchmark.toml");
    write(&path, SPEC.as_bytes())?;
    Ok(path)
}

fn make(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))
        .blame_user()
        .hint("give another folder with --out")
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Ok(WholeFile::write(path, bytes)?)
}
