//! Drawing from a checkpoint: what decides the pictures, their name, their files.

use burn::tensor::Device;
use glass_metrics::Protocol;
use glass_schemas::ids::Digest;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::evaluation::{CompositionSpec, EvaluationSpec, GenerationSpec, MaskSource};
use glass_schemas::spec::pictures::PictureMetricsSpec;
use serde::Serialize;

use super::compose::{Composition, Edits, draw_pairs};
use super::exchange::{Exchanged, Groups, draw_exchanges};
use super::reconstruct;
use super::scene::SceneReader;
use super::shelf::{Shelf, put_index};
use crate::decoders::{ImageDecoder, Painter, Sampling};
use crate::eval::annotations::Picture;
use crate::eval::coco::{ValidationSet, validation};
use crate::eval::frozen::FrozenEncoder;
use crate::eval::job::Candidate;
use crate::eval::protocols;

/// What is needed to draw from a checkpoint's slots.
pub struct Request<'a> {
    /// The run spec.
    pub spec: &'a RunSpec,
    /// The checkpoint.
    pub candidate: &'a Candidate,
    /// What draws.
    pub decoder: &'a ImageDecoder,
    /// Whether it has been trained on slots.
    pub weights: DecoderWeights,
    /// Pictures drawn at once; never changes a picture.
    pub batch: usize,
    /// Where to compute.
    pub device: Device,
}

/// Where the weights of an image decoder come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderWeights {
    /// From the checkpoint.
    Trained,
    /// From a pretrained network that has never seen slots.
    Pretrained,
}

/// Head of `generated.json` and `compositions.json`.
#[derive(Debug, Clone, Serialize)]
struct Head<'a, S> {
    id: String,
    run: &'a str,
    checkpoint: &'a str,
    decoder: DecoderWeights,
    slots: usize,
    slot_seed: u64,
    settings: &'a S,
}

/// Draws validation pictures again from their slots, those that are not on the shelf yet. `generated.json` comes last,
/// as the sign that all files are there.
///
/// # Errors
/// Where the data or a network cannot be used, or the shelf does not take a file.
pub fn generate(request: Request<'_>, name: &str, shelf: &mut dyn Shelf) -> anyhow::Result<()> {
    let settings = request.spec.evaluation.generation.clone();
    let sampling = sampling_of_generation(&settings, request.spec);
    let studio = Studio::open(request, sampling)?;
    let pictures = studio.data.pictures();
    let pictures = &pictures[..pictures.len().min(settings.images as usize)];
    let head = studio.head(name, &settings);
    reconstruct::draw_all(&studio, pictures, settings.noise, &sampling, head, shelf)
}

/// Draws pairs of validation pictures after edits of their slots, and groups of them after exchanging slots.
/// `compositions.json` comes last.
///
/// # Errors
/// As [`generate`].
pub fn compose(request: Request<'_>, name: &str, shelf: &mut dyn Shelf) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Index<H> {
        #[serde(flatten)]
        head: H,
        sheet: &'static str,
        compositions: Vec<Composition>,
        exchanges: Vec<Exchanged>,
    }
    let settings = request.spec.evaluation.composition.clone();
    let sampling = sampling_of_composition(&settings, request.spec);
    let studio = Studio::open(request, sampling)?;
    let pictures = studio.data.pictures();
    let edits = Edits {
        kinds: &settings.edits,
        removal_steps: settings.removal_steps.unwrap_or(settings.steps) as usize,
        seed: settings.seed,
    };
    let compositions = draw_pairs(&studio, &pairs(pictures, &settings), &edits, &sampling, shelf)?;
    let exchanged = &pictures[..pictures.len().min(settings.exchange_pictures as usize)];
    let groups = Groups { size: settings.exchange_group as usize, seed: settings.seed };
    let exchanges = draw_exchanges(&studio, exchanged, &settings.exchanges, groups, &sampling, shelf)?;
    let head = studio.head(name, &settings);
    put_index(shelf, "compositions.json", &Index { head, sheet: "sheet.png", compositions, exchanges })
}

/// Name of the folder of `trainer generate`: the digest of everything that decides its pictures.
///
/// # Errors
/// Where the weights cannot be read.
pub fn generation_name(spec: &RunSpec, candidate: &Candidate) -> anyhow::Result<String> {
    // What is computed about the pictures does not change them.
    let settings = GenerationSpec { metrics: PictureMetricsSpec::default(), ..spec.evaluation.generation.clone() };
    folder_name("generate", spec, candidate, &settings)
}

/// Name of the folder of `trainer compose`.
///
/// # Errors
/// Where the weights cannot be read.
pub fn composition_name(spec: &RunSpec, candidate: &Candidate) -> anyhow::Result<String> {
    folder_name("compose", spec, candidate, &spec.evaluation.composition)
}

fn folder_name(verb: &str, spec: &RunSpec, candidate: &Candidate, settings: &impl Serialize) -> anyhow::Result<String> {
    let frozen = ImageDecoder::frozen_digest(&spec.trainer)?;
    let encoder = crate::encoders::digest(&spec.trainer.encoder)?;
    let data = validation(spec)?.digest().to_string();
    let evaluation = &spec.evaluation;
    let input =
        (&evaluation.protocols, evaluation.input_size, evaluation.slots, &evaluation.slot_seeds, masks(evaluation));
    let deciding = (settings, &candidate.checkpoint, frozen, encoder, data, input, spec.trainer.picture_size());
    Ok(format!("{verb}-{}", Digest::of(&serde_json::to_vec(&deciding)?).short(16)))
}

/// Everything loaded.
pub struct Studio<'a> {
    candidate: &'a Candidate,
    data: ValidationSet,
    protocol: Protocol,
    encoder: FrozenEncoder,
    /// Draws.
    pub painter: Box<dyn Painter>,
    weights: DecoderWeights,
    masks: MaskSource,
    /// Slots a picture.
    pub slots: usize,
    seed: u64,
    /// Pictures drawn at once.
    pub batch: usize,
}

impl<'a> Studio<'a> {
    fn open(request: Request<'a>, sampling: Sampling) -> anyhow::Result<Self> {
        let Request { spec, candidate, decoder, weights, batch, device } = request;
        let evaluation = &spec.evaluation;
        let trained = candidate.slots.trained_slots();
        Ok(Self {
            candidate,
            data: validation(spec)?,
            protocol: protocols::resolve(evaluation)?.swap_remove(0),
            encoder: FrozenEncoder::load(&candidate.encoder_at(&spec.trainer.encoder.weights), &device)?,
            painter: decoder.painter(&spec.trainer, &sampling, &device)?,
            weights,
            masks: masks(evaluation),
            slots: evaluation.slots.map_or(trained, |slots| slots as usize).max(1),
            seed: evaluation.slot_seeds.first().copied().unwrap_or_default(),
            batch: batch.max(1),
        })
    }

    /// Reads pictures and their slots.
    pub fn reader(&self) -> SceneReader<'_> {
        SceneReader {
            data: &self.data,
            protocol: &self.protocol,
            encoder: &self.encoder,
            model: self.candidate.slots.as_ref(),
            slots: self.slots,
            seed: self.seed,
            masks: self.masks,
        }
    }

    fn head<'s, S>(&'s self, name: &str, settings: &'s S) -> Head<'s, S> {
        Head {
            id: name.to_owned(),
            run: &self.candidate.run,
            checkpoint: &self.candidate.checkpoint,
            decoder: self.weights,
            slots: self.slots,
            slot_seed: self.seed,
            settings,
        }
    }
}

/// The masks that tell which slots hold an object: the first of those that are evaluated.
fn masks(evaluation: &EvaluationSpec) -> MaskSource {
    evaluation.masks.first().copied().unwrap_or(MaskSource::SlotAttention)
}

/// Pairs of different pictures, drawn without repetition.
fn pairs<'p>(pictures: &'p [Picture], settings: &CompositionSpec) -> Vec<[&'p Picture; 2]> {
    let mut order: Vec<&Picture> = pictures.iter().collect();
    Stream::new(settings.seed, "pairs", Purpose::Composition).shuffle(&mut order);
    order.chunks_exact(2).take(settings.pairs as usize).map(|pair| [pair[0], pair[1]]).collect()
}

fn sampling_of_generation(settings: &GenerationSpec, spec: &RunSpec) -> Sampling {
    Sampling {
        scheduler: settings.scheduler,
        steps: settings.steps as usize,
        guidance_scale: settings.guidance_scale,
        size: spec.trainer.picture_size() as usize,
        seed: settings.seed,
    }
}

fn sampling_of_composition(settings: &CompositionSpec, spec: &RunSpec) -> Sampling {
    Sampling {
        scheduler: settings.scheduler,
        steps: settings.steps as usize,
        guidance_scale: settings.guidance_scale,
        size: spec.trainer.picture_size() as usize,
        seed: settings.seed,
    }
}
