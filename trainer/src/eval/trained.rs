//! The slots of a checkpoint as a [`SlotModel`], and slots with initial weights.

use anyhow::Context as _;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_dataset::Store;
use glass_schemas::ids::Digest;
use glass_schemas::spec::trainer::{ImageDecoderKind, TrainerSpec};
use serde::Deserialize;

use super::job::Candidate;
use super::model::{DecoderOrders, SlotModel, Slots, Told};
use crate::checkpoint::release::Release;
use crate::checkpoint::{CheckpointRecord, Objects, Run, RunDocument, unpack};
use crate::data::ObjectBox;
use crate::decoders::{FeatureDecoder, ImageDecoder, MaskOrders};
use crate::encoders::TrainedEncoder;
use crate::error::TrainerError;
use crate::generate::job::DecoderWeights;
use crate::grouping::{Known, SlotAttentionConfig};
use crate::layers::Initial;
use crate::parts::{Layout, PartVisitor};
use crate::phases::{Networks, SlotReader};

/// Where a checkpoint keeps the sizes that its spec does not state.
const SLOTS_CONFIG: &str = "multiheadstevesa/config.json";

/// Slot attention and its decoders, without a graph.
pub struct TrainedSlots {
    reader: SlotReader,
    features: Option<FeatureDecoder>,
    image: Option<ImageDecoder>,
    spec: TrainerSpec,
}

impl TrainedSlots {
    /// Slot attention with initial weights for tokens of width `input_size`: the baseline of what training adds.
    pub fn untrained(spec: &TrainerSpec, input_size: usize, seed: u64, device: &Device) -> Self {
        let initial = Initial::new(seed, device).scope("slots");
        let slots = SlotAttentionConfig::new(input_size, &spec.slots).init(&initial);
        Self { reader: SlotReader { encoder: None, slots }, features: None, image: None, spec: spec.clone() }
    }

    /// The networks of a run, without autodiff.
    pub fn new(networks: &Networks, spec: &TrainerSpec) -> Self {
        Self {
            reader: networks.reader(),
            features: networks.features.as_ref().map(FeatureDecoder::valid),
            image: networks.image.as_ref().map(ImageDecoder::valid),
            spec: spec.clone(),
        }
    }

    fn read(&self, features: Tensor<3>, noise: Tensor<3>, known: &Known) -> Slots {
        let (encoded, found) = self.reader.read(features, noise, known);
        Slots { slots: found.slots, raw: found.raw, attention: found.attention, target: encoded.target }
    }
}

impl SlotModel for TrainedSlots {
    fn trained_slots(&self) -> usize {
        self.spec.slots.count
    }

    fn noise_dim(&self) -> usize {
        self.reader.slots.size()
    }

    fn token_width(&self) -> Option<usize> {
        let pixels = self.reader.encoder.as_ref().is_some_and(TrainedEncoder::takes_pixels);
        (!pixels).then(|| self.reader.slots.input_size())
    }

    fn told(&self) -> Told {
        match Known::is_used(&self.spec.slots) {
            true => Told::Boxes,
            false => Told::Nothing,
        }
    }

    fn attend(&self, features: Tensor<3>, noise: Tensor<3>) -> Slots {
        self.read(features, noise, &Known::default())
    }

    fn attend_told(&self, features: Tensor<3>, noise: Tensor<3>, boxes: &[Vec<ObjectBox>]) -> Slots {
        let known = Known::new(&self.spec.slots, noise.dims()[1], boxes, &noise.device());
        self.read(features, noise, &known)
    }

    fn decoder_masks(&self, found: &Slots, orders: DecoderOrders) -> Option<Tensor<3>> {
        let Some(decoder) = &self.features else {
            return self.image.as_ref().and_then(|image| image.masks(found.slots.clone()));
        };
        let orders = match orders {
            DecoderOrders::Standard => MaskOrders::One(0),
            DecoderOrders::Ensemble if decoder.orders() > 1 => MaskOrders::All,
            DecoderOrders::Ensemble => return None,
        };
        Some(decoder.decode(found.slots.clone(), found.target.clone(), orders).masks)
    }
}

/// Whether the image decoder is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithImage {
    /// To draw.
    Yes,
    /// To score.
    No,
}

/// A checkpoint of a run.
pub struct Loaded {
    /// Its slots.
    pub candidate: Candidate,
    /// The image decoder that a phase trained, where one did and it was asked for.
    pub image: Option<ImageDecoder>,
}

impl Loaded {
    /// What draws pictures from its slots: its own image decoder, or the pretrained one that `spec` names, which has
    /// never seen slots.
    ///
    /// # Errors
    /// Where there is none, or it cannot be loaded.
    pub fn decoder(&self, spec: &TrainerSpec, device: &Device) -> crate::Result<(ImageDecoder, DecoderWeights)> {
        if let Some(decoder) = &self.image {
            return Ok((decoder.valid(), DecoderWeights::Trained));
        }
        let pretrained = match spec.image.kind {
            ImageDecoderKind::StableDiffusion => ImageDecoder::new(spec, 0, device)?,
            ImageDecoderKind::LatentDiffusion | ImageDecoderKind::Broadcast | ImageDecoderKind::None => None,
        };
        match pretrained {
            Some(decoder) => {
                tracing::warn!("this checkpoint has no trained UNet: the pretrained one has never seen slots");
                Ok((decoder, DecoderWeights::Pretrained))
            }
            None => Err(TrainerError::Spec {
                field: "trainer.image.kind",
                message: "names no decoder that is in this checkpoint: nothing draws pictures".to_owned(),
            }),
        }
    }
}

/// A checkpoint of a run that has been fetched from the store but not yet turned into networks.
pub struct Fetched {
    run: String,
    document: RunDocument,
    record: CheckpointRecord,
    objects: Objects,
}

impl Fetched {
    /// Fetches the checkpoint of a step, or the newest.
    ///
    /// # Errors
    /// Where there is no such run or checkpoint, or the store does not answer.
    pub async fn new(store: &Store, run: &str, step: Option<u64>) -> anyhow::Result<Self> {
        let (run, document) = Run::open(store, run).await?;
        let newest = run.checkpoints().await?.last().copied();
        let step = step.or(newest).with_context(|| format!("run `{}` has no checkpoint yet", run.id()))?;
        Ok(Self { record: run.record(step).await?, objects: run.load(step).await?, run: run.id().to_owned(), document })
    }

    /// What makes the run.
    pub fn document(&self) -> &RunDocument {
        &self.document
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The checkpoint as it is stored.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// What its objects are.
    ///
    /// # Errors
    /// Where they cannot be named.
    pub fn digest(&self) -> anyhow::Result<Digest> {
        Ok(Digest::of(&serde_json::to_vec(&self.record.objects)?))
    }

    /// Makes the networks on `device`. `weights` says where pretrained weights lie; averaged weights are taken where the
    /// run keeps them.
    ///
    /// # Errors
    /// Where the checkpoint does not fit the run's own spec.
    pub fn networks(&self, weights: &TrainerSpec, device: &Device, image: WithImage) -> anyhow::Result<Networks> {
        #[derive(Deserialize)]
        struct Sizes {
            input_size: usize,
            input_resolution: usize,
        }
        let sizes: Sizes = self
            .objects
            .get(SLOTS_CONFIG)
            .map(|bytes| serde_json::from_slice(bytes))
            .with_context(|| format!("`{SLOTS_CONFIG}` is missing from the checkpoint"))??;
        let spec = self.document.spec.clone().at_places_of(weights);
        let shape = [sizes.input_resolution.pow(2), sizes.input_size];
        let mut networks = Networks::new(&spec, shape, self.document.seed, device);
        networks.encoder = TrainedEncoder::new(&spec.encoder, self.document.seed, device)?;
        // A painter of pixels is small, and its masks are scored.
        let wanted = image == WithImage::Yes || spec.image.kind == ImageDecoderKind::Broadcast;
        let decoder = match wanted && self.decodes_images(&spec) {
            true => ImageDecoder::new(&spec, self.document.seed, device)?,
            false => None,
        };
        networks.image = decoder.filter(|decoder| saved(decoder, &self.objects));
        Ok(unpack(&self.objects, &spec, networks)?.into_judged(&spec))
    }

    /// Whether there is an image decoder in the checkpoint at all: one is not loaded to find that out.
    fn decodes_images(&self, spec: &TrainerSpec) -> bool {
        let step = self.record.step;
        [crate::parts::Group::Unet, crate::parts::Group::Image].iter().any(|group| group.trained_before(spec, step))
    }

    /// Makes the networks and what evaluations call them by.
    ///
    /// # Errors
    /// [`TrainerError::Method`] where `weights` is the spec of another method; as [`Fetched::networks`].
    pub fn load(self, weights: &TrainerSpec, device: &Device, image: WithImage) -> anyhow::Result<Loaded> {
        same_method(&self.run, &self.document.spec, weights)?;
        let networks = self.networks(weights, &device.clone().autodiff(), image)?;
        let digest = self.digest()?;
        Ok(Loaded {
            candidate: Candidate {
                run: self.run,
                checkpoint: format!("{:08}-{}", self.record.step, digest.short(16)),
                slots: Box::new(TrainedSlots::new(&networks, &self.document.spec)),
                encoder: self.document.spec.encoder,
            },
            image: networks.image,
        })
    }
}

/// A checkpoint that was published; its image decoder is what `run` says of it.
///
/// # Errors
/// As [`Release::networks`] and [`Release::image_decoder`].
pub fn published(release: Release, run: &TrainerSpec, device: &Device, image: WithImage) -> crate::Result<Loaded> {
    let (digest, spec) = (release.digest().short(16), release.spec().clone());
    let decoder = match image {
        WithImage::Yes => release.image_decoder(run, device)?,
        WithImage::No => None,
    };
    let networks = release.networks(&device.clone().autodiff())?;
    Ok(Loaded {
        candidate: Candidate {
            run: format!("checkpoint-{digest}"),
            checkpoint: match &decoder {
                Some((_, unet)) => format!("{digest}-{}", unet.short(16)),
                None => digest,
            },
            slots: Box::new(TrainedSlots::new(&networks, &spec)),
            encoder: spec.encoder,
        },
        image: decoder.map(|(decoder, _)| decoder),
    })
}

/// Refuses the spec of another method than a run's: the folders it names are those of other networks.
///
/// # Errors
/// [`TrainerError::Method`].
pub fn same_method(run: &str, trained: &TrainerSpec, asked: &TrainerSpec) -> crate::Result<()> {
    let (found, asked) = (Box::new(trained.sockets()), Box::new(asked.sockets()));
    let differences = found.differences(&asked);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(TrainerError::Method { run: run.to_owned(), found, asked, differences }),
    }
}

/// Whether a checkpoint holds the weights of an image decoder.
fn saved(decoder: &ImageDecoder, objects: &Objects) -> bool {
    struct Saved<'a>(&'a Objects, bool);
    impl PartVisitor for Saved<'_> {
        fn visit<M: Module>(&mut self, layout: &Layout, _: &M) {
            self.1 |= self.0.contains_key(layout.object);
        }
    }
    let mut found = Saved(objects, false);
    decoder.visit(&mut found);
    found.1
}
