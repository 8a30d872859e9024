//! `trainer train`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use burn::tensor::Device;
use clap::ValueEnum;
use glass_dataset::Store;
use glass_nets::weights::folder_digest;
use glass_schemas::ids::{DatasetId, Digest};
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::{GuidanceSource, ImageDecoderKind, Latents, PhaseSpec, Switch, TrainerSpec};
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};

use super::options::explained;
use super::samples::{Samples, Unpacking};
use super::{JsonArgs, RunOptions, StoreSurroundings};
use crate::checkpoint::{Meter, Run, RunDocument, unpack};
use crate::data::{LatentEncoder, TrainingSet};
use crate::decoders::ImageDecoder;
use crate::encoders::{self, TrainedEncoder};
use crate::eval::trained::{Fetched, WithImage};
use crate::guidance::Teacher;
use crate::phases::{Networks, Outcome, PhaseChoice, Session, TrainState};

/// Train slots on generated images and their pseudo-masks.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Prints the run, which is then named as --run. The same command goes on after an interruption, and does
nothing where the run is finished.

Example:
  trainer train --spec manifests/runs/mini/demo.toml --store demo-out
  trainer train --spec run.toml --store s3://bucket/glass --phase 1 --json")]
pub struct TrainArgs {
    /// Spec and store.
    #[command(flatten)]
    pub run: RunOptions,
    /// The masks to train on, where the spec alone does not tell
    #[arg(long, value_name = "DATASET")]
    pub upstream: Option<DatasetId>,
    /// Which phases to run
    #[arg(long, value_enum, default_value_t, value_name = "PHASE")]
    pub phase: PhaseFlag,
    /// End when training has taken this many minutes of processor time, all attempts together, even if
    /// steps are left
    #[arg(long, value_name = "M", value_parser = minutes)]
    pub minutes: Option<Duration>,
    /// Folder for unpacked data; may be emptied at any time [default: the system's temporary folder]
    #[arg(long, value_name = "DIR", env = "GLASS_SCRATCH")]
    pub scratch: Option<PathBuf>,
    /// How to answer
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Reads `--minutes`.
fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number of minutes".to_owned())?;
    match Duration::try_from_secs_f64(minutes * 60.0) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("must be more than 0".to_owned()),
    }
}

/// `--phase`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PhaseFlag {
    /// Slots and feature decoder.
    #[value(name = "1")]
    First,
    /// The image decoder as well.
    #[value(name = "2")]
    Second,
    /// Both, one after the other.
    #[default]
    All,
}

impl From<PhaseFlag> for PhaseChoice {
    fn from(flag: PhaseFlag) -> Self {
        match flag {
            PhaseFlag::First => Self::First,
            PhaseFlag::Second => Self::Second,
            PhaseFlag::All => Self::All,
        }
    }
}

/// Everything that training needs besides its state.
struct Prepared {
    spec: TrainerSpec,
    seed: u64,
    run: Run,
    samples: Box<dyn TrainingSet>,
    device: Device,
    meter: Meter,
    teacher: Option<Fetched>,
    /// The newest checkpoint not past the end.
    start: Option<u64>,
    end: u64,
}

/// Trains, or continues where an earlier call stopped; a finished run is left alone.
///
/// # Errors
/// The user's (spec, weights, data that does not fit) and the store's.
pub async fn train(args: TrainArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let spec = args.run.spec()?;
    let store = SpecArgs::open_store(&spec)?;
    let samples = Samples::find(&store, &spec, args.upstream.as_ref()).await?;
    let mut document = document(&spec, args.run.seed(&spec), &samples)?;
    let teacher = teacher(&store, &spec.trainer, &mut document).await?;
    let run = Run::create(&store, &document).await?;
    let choice = PhaseChoice::from(args.phase);
    let end = choice.end(&spec.trainer);
    let saved = run.checkpoints().await?;
    let meter = Meter::start(&run, saved.last().copied().unwrap_or(0), args.minutes).await?;
    tracing::info!(run = run.id(), end, saved = saved.last(), "training");
    if saved.contains(&end) || (meter.used_up() && !saved.is_empty()) {
        args.json.name("run", run.id())?;
        return Ok(ExitStatus::Done);
    }
    let start = saved.iter().copied().rfind(|&step| step <= end);
    if choice == PhaseChoice::Second && start < Some(spec.trainer.phase1.steps) {
        return Err(anyhow::anyhow!("phase 1 of `{}` is not finished", run.id()))
            .blame_user()
            .hint("run it first: --phase 1, or both: --phase all");
    }
    let device = spec.execution.device.parse::<glass_nets::Backend>()?.device()?;
    let samples = unpacked(samples, &spec, &document, args.scratch, &device).await?;
    let id = run.id().to_owned();
    let prepared = Prepared {
        spec: spec.trainer.clone(),
        seed: document.seed,
        run,
        samples,
        device: device.autodiff(),
        meter,
        teacher,
        start,
        end,
    };
    let runtime = tokio::runtime::Handle::current();
    let status = tokio::task::spawn_blocking(move || run_session(prepared, context, &runtime)).await??;
    args.json.name("run", id)?;
    Ok(status)
}

/// The training set of a run, unpacked in `scratch`. `spec` says where weights lie.
pub(super) async fn unpacked(
    samples: Samples,
    spec: &RunSpec,
    document: &RunDocument,
    scratch: Option<PathBuf>,
    device: &Device,
) -> anyhow::Result<Box<dyn TrainingSet>> {
    let encoder = explained(encoders::load(&spec.trainer.encoder, device))?;
    let scratch = scratch.unwrap_or_else(|| std::env::temp_dir().join("glass"));
    let latents = explained(latent_encoder(&spec.trainer, device))?;
    let needs = Unpacking {
        spec,
        encoder,
        encoder_digest: document.weights[ENCODER],
        scratch: &scratch,
        seed: document.seed,
        latents,
    };
    samples.unpack(needs).await
}

/// Networks with initial weights for the steps before `end`; `states` is what a sample is to the encoder's trained part.
pub(super) fn fresh(
    spec: &TrainerSpec,
    states: [usize; 2],
    seed: u64,
    end: u64,
    device: &Device,
) -> anyhow::Result<Networks> {
    let encoder = explained(TrainedEncoder::new(&spec.encoder, seed, device))?;
    let shape = encoder.as_ref().map_or(states, |encoder| encoder.feature_shape(states));
    let mut networks = Networks::new(spec, shape, seed, device);
    networks.encoder = encoder;
    if uses_image(spec) && end > first_image_step(spec) {
        networks.image = ImageDecoder::new(spec, seed, device).context("the image decoder cannot be loaded")?;
    }
    Ok(networks)
}

/// The role of the encoder's weights in the run document.
const ENCODER: &str = "encoder";
/// The role of the diffusion model's weights in the run document.
const DIFFUSION: &str = "diffusion";

/// The role of the autoencoder's weights in the run document.
const AUTOENCODER: &str = "autoencoder";

/// The role of the teacher's checkpoint in the run document.
const TEACHER: &str = "teacher";

/// The run that teaches, where masks are distilled; its checkpoint becomes a part of what the run is.
async fn teacher(store: &Store, spec: &TrainerSpec, document: &mut RunDocument) -> anyhow::Result<Option<Fetched>> {
    let guidance = &spec.guidance;
    let (GuidanceSource::Distillation, Some(run)) = (guidance.source, &guidance.teacher) else {
        return Ok(None);
    };
    let teacher = Fetched::new(store, run, None)
        .await
        .blame_user()
        .hint("trainer.guidance.teacher is the id of a run in the same store")?;
    let (taught, own) = (&teacher.document().spec.encoder, &document.spec.encoder);
    let same = (taught.image_size, taught.output, taught.pixels, taught.train_from)
        == (own.image_size, own.output, own.pixels, None);
    if !same || teacher.document().weights.get(ENCODER) != document.weights.get(ENCODER) {
        return Err(anyhow::anyhow!("`{run}` was trained on the features of another encoder"))
            .blame_user()
            .hint("teacher and student share weights, image size and output of the frozen encoder");
    }
    document.weights.insert(TEACHER.to_owned(), teacher.digest()?);
    Ok(Some(teacher))
}

fn document(spec: &RunSpec, seed: u64, samples: &Samples) -> anyhow::Result<RunDocument> {
    let trainer = &spec.trainer;
    let mut weights: BTreeMap<String, Digest> = BTreeMap::new();
    weights.insert(ENCODER.to_owned(), folder_digest(&trainer.encoder.weights)?.parse()?);
    for (role, folder) in image_weights(trainer) {
        weights.insert(role.to_owned(), folder_digest(folder)?.parse()?);
    }
    // Where weights lie is no part of what a run is: their digests are.
    let mut trainer = trainer.clone();
    trainer.encoder.weights = PathBuf::new();
    trainer.diffusion.weights = PathBuf::new();
    trainer.latent_diffusion.config = PathBuf::new();
    trainer.latent_diffusion.autoencoder_weights = PathBuf::new();
    trainer.data.images = trainer.data.images.without_places();
    Ok(RunDocument { spec: trainer, seed, datasets: samples.datasets(), images: samples.images(), weights })
}

/// Whether a phase of the run decodes images.
fn uses_image(spec: &TrainerSpec) -> bool {
    let used = |phase: &PhaseSpec| phase.steps > 0 && phase.diffusion == Switch::On;
    spec.image.kind != ImageDecoderKind::None && spec.loss.diffusion > 0.0 && (used(&spec.phase1) || used(&spec.phase2))
}

/// Which of the image decoder's files decide what the run is, by role.
fn image_weights(spec: &TrainerSpec) -> Vec<(&'static str, PathBuf)> {
    if !uses_image(spec) {
        return Vec::new();
    }
    let (pretrained, scratch) = (&spec.diffusion, &spec.latent_diffusion);
    match spec.image.kind {
        ImageDecoderKind::None | ImageDecoderKind::Broadcast => Vec::new(),
        ImageDecoderKind::StableDiffusion => {
            let mut files = vec![(DIFFUSION, pretrained.weights.join("unet"))];
            if pretrained.latents == Latents::Encode {
                files.push((AUTOENCODER, pretrained.weights.join("vae")));
            }
            files
        }
        ImageDecoderKind::LatentDiffusion => {
            vec![(DIFFUSION, scratch.config.clone()), (AUTOENCODER, scratch.autoencoder_weights.clone())]
        }
    }
}

/// What makes latents of pictures, where the run decodes such latents.
fn latent_encoder(spec: &TrainerSpec, device: &Device) -> crate::Result<Option<LatentEncoder>> {
    if !uses_image(spec) {
        return Ok(None);
    }
    match (spec.image.kind, spec.diffusion.latents) {
        (ImageDecoderKind::LatentDiffusion, _) => Ok(Some(LatentEncoder::of_scratch(&spec.latent_diffusion, device)?)),
        (ImageDecoderKind::StableDiffusion, Latents::Encode) => Ok(Some(LatentEncoder::load(&spec.diffusion, device)?)),
        _ => Ok(None),
    }
}

fn run_session(prepared: Prepared, context: Context, runtime: &tokio::runtime::Handle) -> anyhow::Result<ExitStatus> {
    let Prepared { spec, seed, run, samples, device, mut meter, teacher, start, end } = prepared;
    let fresh = || fresh(&spec, samples.feature_shape(), seed, end, &device);
    let load = |step: u64| -> anyhow::Result<TrainState> {
        let objects = runtime.block_on(run.load(step))?;
        Ok(unpack(&objects, &spec, fresh()?)?)
    };
    let mut state = match start {
        Some(step) => load(step)?,
        None => TrainState::new(&spec, fresh()?),
    };
    let anchor = match state.step > spec.phase1.steps && spec.phase1.steps > 0 {
        true => Some(load(spec.phase1.steps)?.networks),
        false => None,
    };
    let teacher = match teacher {
        Some(teacher) => Some(taught(teacher, &spec, &device)?),
        None => None,
    };
    meter.prepared();
    let mut around = StoreSurroundings::new(&run, &spec, seed, samples.as_ref(), &context, runtime, &meter);
    let mut session = Session { spec: &spec, seed, samples: samples.as_ref(), device: &device, anchor, teacher };
    let outcome = session.run(&mut state, end, &mut around)?;
    Ok(match outcome {
        Outcome::Finished => ExitStatus::Done,
        // Ended by its time and not by a signal.
        Outcome::Interrupted if !context.stop.is_set() => ExitStatus::Done,
        Outcome::Interrupted => ExitStatus::Interrupted,
    })
}

/// The first step whose loss needs the image decoder.
fn first_image_step(spec: &TrainerSpec) -> u64 {
    match spec.phase1.diffusion {
        Switch::On => 0,
        Switch::Off => spec.phase1.steps,
    }
}

/// The networks of the run that teaches.
pub(super) fn taught(teacher: Fetched, spec: &TrainerSpec, device: &Device) -> anyhow::Result<Teacher> {
    let slots = teacher.document().spec.slots.clone();
    let networks = teacher.networks(spec, &device.clone().inner(), WithImage::No)?;
    explained(Teacher::new(networks.slots, networks.features, &slots, &spec.slots))
}
