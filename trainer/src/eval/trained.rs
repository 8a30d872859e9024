//! The slots of a checkpoint as a [`SlotModel`], and slots with initial weights.

use anyhow::Context as _;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_dataset::Store;
use glass_schemas::ids::Digest;
use glass_schemas::spec::trainer::{DiffusionDecoderSpec, TrainerSpec};
use serde::Deserialize;

use super::job::Candidate;
use super::model::{SlotModel, Slots};
use crate::checkpoint::{CheckpointRecord, Objects, Run, RunDocument, unpack};
use crate::decoders::{DiffusionDecoder, MlpDecoder, TokenChoice, UNet};
use crate::grouping::{SlotAttention, SlotAttentionConfig};
use crate::layers::Initial;
use crate::phases::Networks;

/// Where a checkpoint keeps the sizes that its spec does not state.
const SLOTS_CONFIG: &str = "multiheadstevesa/config.json";
/// Present where phase 2 trained the UNet.
const UNET: &str = "unet2dconditionmodel/diffusion_pytorch_model.safetensors";

/// Slot attention and its feature decoder, without a graph.
pub struct TrainedSlots {
    slots: SlotAttention,
    features: Option<MlpDecoder>,
    count: usize,
}

impl TrainedSlots {
    /// Slot attention with initial weights for tokens of width `input_size`: the baseline of what training adds.
    pub fn untrained(spec: &TrainerSpec, input_size: usize, seed: u64, device: &Device) -> Self {
        let initial = Initial::new(seed, device).scope("slots");
        Self {
            slots: SlotAttentionConfig::new(input_size, &spec.slots).init(&initial),
            features: None,
            count: spec.slots.count,
        }
    }

    /// The networks of a run.
    pub fn new(networks: &Networks, spec: &TrainerSpec) -> Self {
        Self {
            slots: networks.slots.valid(),
            features: Some(networks.features.valid()),
            count: spec.slots.count,
        }
    }
}

impl SlotModel for TrainedSlots {
    fn trained_slots(&self) -> usize {
        self.count
    }

    fn noise_dim(&self) -> usize {
        self.slots.size()
    }

    fn attend(&self, features: Tensor<3>, noise: Tensor<3>) -> Slots {
        let found = self.slots.forward(features, noise);
        Slots { slots: found.slots, raw: found.raw, attention: found.attention }
    }

    fn decoder_masks(&self, slots: Tensor<3>) -> Option<Tensor<3>> {
        self.features.as_ref().map(|decoder| decoder.forward(slots, &TokenChoice::All).masks)
    }
}

/// Whether the UNet of phase 2 is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithUnet {
    /// To draw.
    Yes,
    /// To score.
    No,
}

/// A checkpoint of a run.
pub struct Loaded {
    /// Its slots.
    pub candidate: Candidate,
    /// The UNet that phase 2 trained, where it did and it was asked for.
    pub unet: Option<UNet>,
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
        Ok(Self {
            record: run.record(step).await?,
            objects: run.load(step).await?,
            run: run.id().to_owned(),
            document,
        })
    }

    /// Makes the networks. `weights` says where the pretrained UNet lies; averaged weights are taken where the run
    /// keeps them.
    ///
    /// # Errors
    /// Where the checkpoint does not fit the run's own spec.
    pub fn load(self, weights: &DiffusionDecoderSpec, device: &Device, unet: WithUnet) -> anyhow::Result<Loaded> {
        #[derive(Deserialize)]
        struct Sizes {
            input_size: usize,
            input_resolution: usize,
        }
        let Self { run, document, record, objects } = self;
        let sizes: Sizes = objects
            .get(SLOTS_CONFIG)
            .map(|bytes| serde_json::from_slice(bytes))
            .with_context(|| format!("`{SLOTS_CONFIG}` is missing from the checkpoint"))??;
        let spec = &document.spec;
        let device = device.clone().autodiff();
        let shape = [sizes.input_resolution.pow(2), sizes.input_size];
        let mut networks = Networks::new(spec, shape, document.seed, &device);
        if unet == WithUnet::Yes && objects.contains_key(UNET) {
            networks.diffusion = Some(DiffusionDecoder::load(weights, &device)?);
        }
        let mut state = unpack(&objects, spec, networks)?;
        if spec.optimizer.ema > 0.0 {
            state.networks.slots = state.ema.apply(state.networks.slots);
            state.networks.features = state.ema.apply(state.networks.features);
        }
        let digest = Digest::of(&serde_json::to_vec(&record.objects)?);
        Ok(Loaded {
            candidate: Candidate {
                run,
                checkpoint: format!("{:08}-{}", record.step, digest.short(16)),
                slots: Box::new(TrainedSlots::new(&state.networks, spec)),
            },
            unet: state.networks.diffusion.map(|diffusion| diffusion.unet.valid()),
        })
    }
}
