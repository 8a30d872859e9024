//! `trainer train`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use burn::tensor::Device;
use clap::ValueEnum;
use glass_dataset::{Dataset, Store};
use glass_nets::weights::folder_digest;
use glass_schemas::ids::{DatasetId, DatasetKind, Digest};
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::{Latents, Switch, TrainerSpec};
use glass_stage::{Context, ExitStatus, Explain, SpecArgs};

use super::options::explained;
use super::{RunOptions, StoreSurroundings};
use crate::checkpoint::{Meter, Run, RunDocument, unpack};
use crate::data::{LatentEncoder, LocalSet, Preparation, TrainingSet, Upstream};
use crate::decoders::DiffusionDecoder;
use crate::encoders::Dinov2Encoder;
use crate::phases::{Networks, Outcome, PhaseChoice, Session, TrainState};

/// Train slots on generated images and their pseudo-masks.
#[derive(clap::Args, Clone, Debug)]
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
    samples: LocalSet,
    device: Device,
    meter: Meter,
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
    let upstream = upstream(&store, &spec, args.upstream.as_ref()).await?;
    let document = document(&spec, args.run.seed(&spec), &upstream)?;
    let run = Run::create(&store, &document).await?;
    let choice = PhaseChoice::from(args.phase);
    let end = choice.end(&spec.trainer);
    let saved = run.checkpoints().await?;
    let meter = Meter::start(&run, saved.last().copied().unwrap_or(0), args.minutes).await?;
    tracing::info!(run = run.id(), end, saved = saved.last(), "training");
    if saved.contains(&end) || (meter.used_up() && !saved.is_empty()) {
        println!("{}", run.id());
        return Ok(ExitStatus::Done);
    }
    let start = saved
        .iter()
        .copied()
        .filter(|&step| step <= end)
        .next_back();
    if choice == PhaseChoice::Second && start < Some(spec.trainer.phase1.steps) {
        return Err(anyhow::anyhow!("phase 1 of `{}` is not finished", run.id()))
            .blame_user()
            .hint("run it first: --phase 1, or both: --phase all");
    }
    let device = spec
        .execution
        .device
        .parse::<glass_nets::Backend>()?
        .device()?;
    let encoder = explained(Dinov2Encoder::load(&spec.trainer.encoder, &device))?;
    let scratch = args
        .scratch
        .unwrap_or_else(|| std::env::temp_dir().join("glass"));
    let preparation = Preparation {
        spec: &spec.trainer,
        upstream: &upstream,
        encoder_digest: document.weights[ENCODER],
        scratch: &scratch,
    };
    let samples = explained(preparation.open(Box::new(encoder)).await)?;
    let samples = match spec.trainer.diffusion.latents {
        Latents::Encode if uses_diffusion(&spec.trainer) => {
            let encoder = explained(LatentEncoder::load(&spec.trainer.diffusion, &device))?;
            samples.with_encoded_latents(encoder, document.seed)
        }
        Latents::Encode | Latents::Stored => samples,
    };
    let prepared = Prepared {
        spec: spec.trainer.clone(),
        seed: document.seed,
        run,
        samples,
        device: device.autodiff(),
        meter,
        start,
        end,
    };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || run_session(prepared, context, &runtime)).await?
}

/// The role of the encoder's weights in the run document.
const ENCODER: &str = "encoder";
/// The role of the diffusion model's weights in the run document.
const DIFFUSION: &str = "diffusion";

/// The role of the autoencoder's weights in the run document.
const AUTOENCODER: &str = "autoencoder";

/// The masks that the spec stands for, and the generations they were made from.
async fn upstream(
    store: &Store,
    spec: &RunSpec,
    named: Option<&DatasetId>,
) -> anyhow::Result<Upstream> {
    let Some(id) = named else {
        return Ok(Upstream {
            generations: Dataset::find(store, DatasetKind::Generations, spec).await?,
            masks: Dataset::find(store, DatasetKind::Masks, spec).await?,
        });
    };
    let masks = Dataset::open(store, id).await?;
    // Masks are made from attention means; the images drawn in the same pass carry the same hash.
    let attention = masks.identity().upstream.iter().find(|id| id.kind() == DatasetKind::Attention);
    match attention {
        Some(id) => {
            let generations = id.sibling(DatasetKind::Generations);
            Ok(Upstream { generations: Dataset::open(store, &generations).await?, masks })
        }
        None => Err(anyhow::anyhow!("`{id}` was not made from attention means"))
            .blame_user()
            .hint("--upstream takes a masks dataset"),
    }
}

fn document(spec: &RunSpec, seed: u64, upstream: &Upstream) -> anyhow::Result<RunDocument> {
    let trainer = &spec.trainer;
    let mut weights: BTreeMap<String, Digest> = BTreeMap::new();
    weights.insert(
        ENCODER.to_owned(),
        folder_digest(&trainer.encoder.weights)?.parse()?,
    );
    if uses_diffusion(trainer) {
        let unet = trainer.diffusion.weights.join("unet");
        weights.insert(DIFFUSION.to_owned(), folder_digest(unet)?.parse()?);
        if trainer.diffusion.latents == Latents::Encode {
            let vae = trainer.diffusion.weights.join("vae");
            weights.insert(AUTOENCODER.to_owned(), folder_digest(vae)?.parse()?);
        }
    }
    // Where weights lie is no part of what a run is: their digests are.
    let mut trainer = trainer.clone();
    trainer.encoder.weights = PathBuf::new();
    trainer.diffusion.weights = PathBuf::new();
    Ok(RunDocument {
        spec: trainer,
        seed,
        datasets: vec![
            upstream.generations.id().clone(),
            upstream.masks.id().clone(),
        ],
        weights,
    })
}

fn uses_diffusion(spec: &TrainerSpec) -> bool {
    let used = |phase: &glass_schemas::spec::trainer::PhaseSpec| {
        phase.steps > 0 && phase.diffusion == Switch::On
    };
    spec.loss.diffusion > 0.0 && (used(&spec.phase1) || used(&spec.phase2))
}

fn run_session(
    prepared: Prepared,
    context: Context,
    runtime: &tokio::runtime::Handle,
) -> anyhow::Result<ExitStatus> {
    let Prepared {
        spec,
        seed,
        run,
        samples,
        device,
        mut meter,
        start,
        end,
    } = prepared;
    let fresh = || -> anyhow::Result<Networks> {
        let mut networks = Networks::new(&spec, samples.feature_shape(), seed, &device);
        if uses_diffusion(&spec) && end > first_diffusion_step(&spec) {
            let decoder = DiffusionDecoder::load(&spec.diffusion, &device)
                .context("the image decoder cannot be loaded")?;
            networks.diffusion = Some(decoder);
        }
        Ok(networks)
    };
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
    meter.prepared();
    let mut around = StoreSurroundings::new(&run, &spec, seed, &samples, &context, runtime, &meter);
    let mut session = Session {
        spec: &spec,
        seed,
        samples: &samples,
        device: &device,
        anchor,
    };
    let outcome = session.run(&mut state, end, &mut around)?;
    println!("{}", run.id());
    Ok(match outcome {
        Outcome::Finished => ExitStatus::Done,
        // Ended by its time and not by a signal.
        Outcome::Interrupted if !context.stop.is_set() => ExitStatus::Done,
        Outcome::Interrupted => ExitStatus::Interrupted,
    })
}

/// The first step whose loss needs the image decoder.
fn first_diffusion_step(spec: &TrainerSpec) -> u64 {
    match spec.phase1.diffusion {
        Switch::On => 0,
        Switch::Off => spec.phase1.steps,
    }
}
