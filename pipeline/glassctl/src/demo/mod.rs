//! `glassctl demo`: the whole job on the embedded default, as a user would run it.
//!
//! Nothing here is special to the demo but the spec: the stages run as separate processes on a
//! local store, as many workers as there are cores, then the trainer, the evaluation and the
//! report. Every step is resumable, so running the demo again does no work.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use glass_dataset::{Store, StoreOptions};
use glass_stage::{Context, ExitStatus, Explain};

use crate::made::{Evaluation, Made};
use crate::runner::{self, Numbers, Programs, Runner, stopped_or};
use crate::{output, report};

const SPEC: &str = include_str!("../../../../manifests/runs/mini/demo.toml");

/// Run the whole job on the embedded default
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Real scenes, captions, generated images, pseudo-masks, training, evaluation and drawings, in about fifteen
minutes on two cores. The same command goes on after an interruption; done once, it does no work. Then open
report.html in the folder.

Example:
  glassctl demo --out demo-out
  glassctl demo --quick --json --out quick-out")]
pub struct DemoArgs {
    /// Folder for datasets, runs, logs and the report
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    pub out: PathBuf,
    /// A smoke run of about two minutes: few images, few steps, numbers without meaning
    #[arg(long)]
    pub quick: bool,
    /// Change one value of the demo's spec, e.g. `source.limit=1000`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `--quick` changes.
const QUICK: [&str; 16] = [
    "source.limit=16",
    "source.rows_per_shard=4",
    "generator.steps=4",
    "trainer.loss.semantic_ramp={ start = 10, end = 20 }",
    "trainer.phase1.steps=40",
    "trainer.phase1.warmup=5",
    "trainer.phase1.batch=8",
    "trainer.phase2.steps=4",
    "trainer.phase2.warmup=1",
    "trainer.phase2.batch=2",
    "trainer.drift.every=2",
    "trainer.checkpoint.every=10",
    "trainer.track.log_every=5",
    "evaluation.limit=16",
    "evaluation.generation={ images = 2, steps = 3 }",
    "evaluation.composition={ pairs = 1, steps = 3 }",
];

/// Runs the demo.
///
/// # Errors
/// What a stage could not do; its own message was printed before.
pub async fn demo(args: DemoArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let started = Instant::now();
    let root = runner::root()?;
    let out = std::path::absolute(&args.out).context("cannot find the current folder")?;
    let spec = write_spec(&out)?;
    let mut set = args.set.clone();
    if args.quick {
        set.splice(0..0, QUICK.map(str::to_owned));
    }
    let programs = Programs::find(&root, &context).await?;
    let runner = Runner {
        root,
        spec,
        store: Some(out.to_string_lossy().into_owned()),
        logs: out.join("logs"),
        scratch: Some(out.join("scratch")),
        set,
        // On a CPU many small networks beat one network on many threads, and training steps this small
        // lose more by handing work over than a second thread gives.
        workers: std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        threads: Some(1),
        programs,
    };
    runner.check()?;
    stopped_or(job(&args, started, &runner, &out, &context).await)
}

async fn job(
    args: &DemoArgs,
    started: Instant,
    runner: &Runner,
    out: &Path,
    context: &Context,
) -> anyhow::Result<ExitStatus> {
    let data = runner.data(context).await?;
    let run = runner.train("train", &[], &[], context).await?.id;
    let numbers = runner.evaluate(&run, Numbers::Table, context).await?;
    let pictures = runner.draw(&run, context).await?;
    let (spec, store) = (runner.run_spec()?, Store::open(&out.to_string_lossy(), &StoreOptions::default())?);
    let inputs = report::Inputs { root: &runner.root, spec: &spec, store: out, run: &run, pictures: &pictures };
    let report = Some(report::write(&inputs).await?);
    let made = Made::since(started, &store, &spec).await?;
    if args.json {
        // They are there now: this only asks where.
        let folder = runner.evaluate(&run, Numbers::Folder, context).await?;
        let evaluation = Some(Evaluation::at(&store, folder).await?);
        output::json(&Made { run: Some(run), evaluation, report, ..made })?;
    } else {
        output::text(&Made { run: Some(run), report, ..made }.text(&numbers))?;
    }
    Ok(data)
}

/// The demo's spec, beside its results so that every command of it can be repeated by hand.
fn write_spec(out: &Path) -> anyhow::Result<PathBuf> {
    let path = out.join("demo.toml");
    let write = || {
        std::fs::create_dir_all(out.join("logs"))?;
        std::fs::write(&path, SPEC)
    };
    write()
        .with_context(|| format!("cannot write to `{}`", out.display()))
        .blame_user()
        .hint("give another folder with --out")?;
    Ok(path)
}
