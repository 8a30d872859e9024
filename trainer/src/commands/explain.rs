//! `trainer explain`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_nets::Backend;
use glass_schemas::ids::DatasetKind;
use glass_schemas::spec::RunSpec;
use glass_stage::{Context, ExitStatus, Explain as _, SpecArgs, WholeFile};
use serde::Serialize;

use super::options::explained as explained_error;
use super::samples::Samples;
use super::train::{fresh, taught, unpacked};
use super::{JsonArgs, RunOptions};
use crate::checkpoint::{Run, RunDocument, unpack};
use crate::data::{Side, TrainingSet};
use crate::error::{Result, TrainerError};
use crate::eval::samples::png;
use crate::eval::trained::{Fetched, same_method};
use crate::phases::{LossTerms, Outcome, Seen, Session, Stepper, Surroundings, TrainState, phase_of};
use crate::track::{Explained, Line, Panel, explained_step};

/// Lines of metrics on either side of the step.
const AROUND: usize = 3;

/// Look at the samples of one step: images, masks, slots and loss terms, the largest loss first.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Which samples a step sees is a function of seed and step. Their losses are computed again with the weights of the
newest checkpoint before the step, or with --replay with those that the step had: training goes on from that
checkpoint to the step, in memory, and gives the same numbers again.

Example:
  trainer explain run-0123456789abcdef --step 4200 --spec run.toml --store DIR --replay")]
pub struct ExplainArgs {
    /// The run
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Spec (it says where weights lie) and store
    #[command(flatten)]
    pub options: RunOptions,
    /// The step, as it is logged: the first is 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub step: u64,
    /// Train on from the checkpoint to the step first; nothing is saved
    #[arg(long)]
    pub replay: bool,
    /// Samples drawn, those with the largest loss
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub samples: usize,
    /// Folder to write `explain.png` and `explain.json` into [default: explain-RUN-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder for unpacked data; may be emptied at any time [default: the system's temporary folder]
    #[arg(long, value_name = "DIR", env = "GLASS_SCRATCH")]
    pub scratch: Option<PathBuf>,
    /// How to answer: with JSON, what is in `explain.json`
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `explain.json`.
#[derive(Serialize)]
struct Document {
    run: String,
    step: u64,
    phase: u8,
    /// Whose weights the losses were computed with: those after so many steps.
    weights_after: u64,
    /// Whether those are the weights that the step had.
    exact: bool,
    /// The whole batch: what was logged, where the weights are the step's own. Null where the step diverged.
    step_losses: Option<LossTerms>,
    /// The lines of `metrics.jsonl` around the step: means over the steps since the line before.
    logged: Vec<Line>,
    /// All samples of the step, the largest loss first.
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct Sample {
    /// Sample id, or the image's name.
    sample: String,
    /// The how manieth sample of the run.
    position: u64,
    mirrored: bool,
    losses: LossTerms,
    slots_used: Option<f64>,
    largest_share: Option<f64>,
    entropy: Option<f64>,
    shares: Vec<f64>,
}

impl Sample {
    fn new(seen: &Seen, sample: String) -> Self {
        let usage = seen.usage.as_ref();
        Self {
            sample,
            position: seen.visit.position,
            mirrored: seen.visit.side == Side::Mirrored,
            losses: seen.losses.into(),
            slots_used: usage.map(|usage| usage.used),
            largest_share: usage.map(|usage| usage.largest),
            entropy: usage.map(|usage| usage.entropy),
            shares: usage.map(|usage| usage.shares.clone()).unwrap_or_default(),
        }
    }
}

/// Trains without leaving anything behind.
struct Silent<'a>(&'a Context);

impl Surroundings for Silent<'_> {
    fn stop(&self) -> bool {
        self.0.stop.is_set()
    }

    fn save(&mut self, _: &TrainState) -> Result<()> {
        Ok(())
    }

    fn line(&mut self, line: &Line, _: &TrainState) {
        tracing::info!(step = line.step, total = line.values.get("loss/total"), "replayed");
    }

    fn preview(&mut self, _: &TrainState) -> Result<()> {
        Ok(())
    }
}

/// A run with its data, and the state it is looked at from.
struct Subject {
    spec: RunSpec,
    run: Run,
    document: RunDocument,
    teacher: Option<Fetched>,
    samples: Box<dyn TrainingSet>,
    /// The newest checkpoint before the step; none where its weights are the initial ones.
    start: Option<u64>,
}

/// Writes the picture and the document, and prints their folder.
///
/// # Errors
/// The user's (no such run or step, weights or data that are not there) and the store's.
pub async fn explain(args: ExplainArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let mut spec = args.options.spec()?;
    let store = SpecArgs::open_store(&spec)?;
    let (run, document) = Run::open(&store, &args.run)
        .await
        .blame_user()
        .hint("RUN is an id that `trainer train` printed, in the store of --store")?;
    let trained = run.checkpoints().await?;
    // Not the newest checkpoint: a step that diverged is past it.
    let last = document.spec.phase1.steps + document.spec.phase2.steps;
    if args.step > last {
        let problem = format!("`{}` has {last} steps, step {} is not among them", args.run, args.step);
        return Err(anyhow::Error::msg(problem)).blame_user();
    }
    // What was trained is the run's; only where weights and images lie is the spec's.
    explained_error(same_method(&args.run, &document.spec, &spec.trainer))?;
    spec.trainer = document.spec.clone().at_places_of(&spec.trainer);
    let device = spec.execution.device.parse::<Backend>()?.device()?;
    let masks = document.datasets.iter().find(|id| id.kind() == DatasetKind::Masks);
    let samples = Samples::find(&store, &spec, masks).await?;
    if samples.images() != document.images {
        return Err(anyhow::anyhow!("the images of the spec are not those that `{}` was trained on", args.run))
            .blame_user()
            .hint("`trainer.data.images` says where they lie");
    }
    let samples = unpacked(samples, &spec, &document, args.scratch.clone(), &device).await?;
    let teacher = match &document.spec.guidance.teacher {
        Some(teacher) => Some(Fetched::new(&store, teacher, None).await?),
        None => None,
    };
    let start = trained.into_iter().rfind(|&step| step < args.step);
    let subject = Subject { spec, run, document, teacher, samples, start };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || look(subject, &args, &context, &runtime)).await?
}

fn look(
    subject: Subject,
    args: &ExplainArgs,
    context: &Context,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<ExitStatus> {
    let Subject { spec, run, document, teacher, samples, start } = subject;
    let device = spec.execution.device.parse::<Backend>()?.device()?.autodiff();
    let (spec, seed) = (&spec.trainer, document.seed);
    let load = |step: u64| -> anyhow::Result<TrainState> {
        let objects = runtime.block_on(run.load(step))?;
        Ok(unpack(&objects, spec, fresh(spec, samples.feature_shape(), seed, args.step, &device)?)?)
    };
    let mut state = match start {
        Some(step) => load(step)?,
        None => TrainState::new(spec, fresh(spec, samples.feature_shape(), seed, args.step, &device)?),
    };
    let anchor = match state.step > spec.phase1.steps && spec.phase1.steps > 0 {
        true => Some(load(spec.phase1.steps)?.networks),
        false => None,
    };
    let teacher = teacher.map(|teacher| taught(teacher, spec, &device)).transpose()?;
    let mut session = Session { spec, seed, samples: samples.as_ref(), device: &device, anchor, teacher };
    let before = args.step - 1;
    if args.replay && session.run(&mut state, before, &mut Silent(context))? == Outcome::Interrupted {
        return Ok(ExitStatus::Interrupted);
    }
    let weights_after = state.step;
    // Visits, draws and ramps are the step's own, whatever the weights are.
    state.step = before;
    let (phase, of_phase, _) = phase_of(spec, before).context("the run is over by then")?;
    state.networks = state.networks.in_phase(spec, of_phase);
    let mut stepper = session.stepper(&state)?;
    let seen = by_loss(&mut stepper, &state)?;
    let document = Document {
        run: args.run.clone(),
        step: args.step,
        phase,
        weights_after,
        exact: weights_after == before,
        step_losses: whole(&mut stepper, &state)?,
        logged: around(&run, args.step, runtime)?,
        samples: seen.iter().map(|seen| Sample::new(seen, samples.name(seen.visit.sample))).collect(),
    };
    let folder = args.out.clone().unwrap_or_else(|| format!("explain-{}-{}", args.run, args.step).into());
    let drawn = draw(&document, &seen, samples.as_ref(), args.samples)?;
    write(&folder, "explain.png", drawn)?;
    write(&folder, "explain.json", serde_json::to_vec_pretty(&document)?)?;
    args.json.answer(&document, &format!("{}\n", folder.display())).or_else(super::judge::explained)?;
    Ok(ExitStatus::Done)
}

/// The samples of the next step of `state`, the largest loss first, those without a number before all others.
fn by_loss(stepper: &mut Stepper<'_>, state: &TrainState) -> Result<Vec<Seen>> {
    let visits = stepper.visits(state.step)?;
    let mut seen: Vec<Seen> = visits.into_iter().map(|visit| stepper.look(state, visit)).collect::<Result<_>>()?;
    let height = |seen: &Seen| if seen.losses.total.is_nan() { f32::INFINITY } else { seen.losses.total };
    seen.sort_by(|a, b| height(b).total_cmp(&height(a)));
    Ok(seen)
}

/// The losses of the whole step; none where they are no numbers.
fn whole(stepper: &mut Stepper<'_>, state: &TrainState) -> Result<Option<LossTerms>> {
    match stepper.step(&mut state.clone()) {
        Ok(losses) => Ok(Some(losses.into())),
        Err(TrainerError::Diverged { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// The lines logged around a step.
fn around(run: &Run, step: u64, runtime: &tokio::runtime::Handle) -> anyhow::Result<Vec<Line>> {
    let Some(text) = runtime.block_on(run.store().get_if_there(&run.key("metrics.jsonl")))? else {
        return Ok(Vec::new());
    };
    let history = crate::track::History::parse(&String::from_utf8_lossy(&text))?;
    let lines = history.lines();
    let place = lines.partition_point(|line| line.step < step);
    let range = place.saturating_sub(AROUND)..(place + AROUND).min(lines.len());
    Ok(lines[range].to_vec())
}

/// The first samples with what was found of them.
fn draw(document: &Document, seen: &[Seen], samples: &dyn TrainingSet, count: usize) -> anyhow::Result<Vec<u8>> {
    let weights = match document.exact {
        true => "its own weights".to_owned(),
        false => format!("weights after step {}", document.weights_after),
    };
    let whole = document.step_losses.map_or("diverged".to_owned(), |losses| format!("loss {:.4}", losses.total));
    let title = format!("{} step {}, phase {}: {whole}, {weights}", document.run, document.step, document.phase);
    let shown = seen.iter().zip(&document.samples).take(count);
    let rows = shown.map(|(seen, sample)| explained(seen, sample, samples)).collect::<Result<Vec<_>>>()?;
    Ok(png(&explained_step(&title, &rows))?)
}

fn explained(seen: &Seen, sample: &Sample, samples: &dyn TrainingSet) -> Result<Explained> {
    let shares = &sample.shares;
    let term = |name: &str, value: Option<f32>| value.map(|value| format!("{name} {value:.4}"));
    let number = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value:.2}"));
    let lines = |lines: Vec<Option<String>>| lines.into_iter().flatten().collect::<Vec<String>>();
    let losses = &sample.losses;
    Ok(Explained {
        heading: format!(
            "{}  position {}{}",
            sample.sample,
            sample.position,
            if sample.mirrored { "  mirrored" } else { "" }
        ),
        panel: Panel {
            picture: samples.picture(&seen.visit)?,
            mask: samples.masks(&[seen.visit])?,
            attention: seen.attention.clone(),
            slots: shares.len().max(1),
        },
        captions: [
            vec![format!("loss {:.4}", losses.total), format!("gradient {:.3}", losses.gradient_norm)],
            lines(vec![term("semantic", losses.semantic), term("overlap", losses.overlap)]),
            lines(vec![
                term("instance", losses.instance),
                term("diffusion", losses.diffusion),
                number("slots used", sample.slots_used),
                number("entropy", sample.entropy),
            ]),
        ],
    })
}

fn write(folder: &Path, name: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create `{}`", folder.display()))
        .and_then(|()| Ok(WholeFile::write(&path, bytes)?))
        .blame_user()
}
