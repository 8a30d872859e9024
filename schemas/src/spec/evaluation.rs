//! `[evaluation]`: what is scored, under which protocols, and what is drawn from the slots.

use serde::{Deserialize, Serialize};

use super::pictures::PictureMetricsSpec;
use super::probe::ProbeSpec;
use super::{ImagesSpec, SchedulerChoice};

/// What `trainer evaluate`, `trainer generate` and `trainer compose` read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSpec {
    /// Folder of the validation pictures, where they are in COCO's format.
    pub images: String,
    /// COCO-format annotations of those pictures.
    pub instances: String,
    /// Protocols: the id of a shipped one (`glass-release`, `spot`, `oclf`, `slotdiffusion`) or the path of a `.toml` file.
    pub protocols: Vec<String>,
    /// Side in pixels of the picture that the encoder sees; the protocol's own where absent.
    pub input_size: Option<u32>,
    /// Side in pixels of the masks that are compared; the protocol's own where absent.
    pub mask_size: Option<u32>,
    /// Number of slots; the number the checkpoint was trained with where absent.
    pub slots: Option<u32>,
    /// Seeds of the slots' initial noise: every method that draws is run once a seed.
    pub slot_seeds: Vec<u64>,
    /// Where the masks of trained slots are taken from.
    pub masks: Vec<MaskSource>,
    /// Methods without a trained slot, scored beside.
    pub baselines: Vec<Baseline>,
    /// Score only the first so many pictures.
    pub limit: Option<u64>,
    /// Pictures for the report.
    pub samples: u32,
    /// `[evaluation.data]`: validation pictures of any format; in place of `images` and `instances`.
    pub data: Option<ImagesSpec>,
    /// `[evaluation.generation]`
    pub generation: GenerationSpec,
    /// `[evaluation.composition]`
    pub composition: CompositionSpec,
    /// `[evaluation.probe]`
    pub probe: ProbeSpec,
}

impl Default for EvaluationSpec {
    fn default() -> Self {
        Self {
            images: "assets/scenes/val".into(),
            instances: "assets/scenes/val/instances.json".into(),
            protocols: vec!["glass-release".into()],
            input_size: None,
            mask_size: None,
            slots: None,
            slot_seeds: vec![0, 1, 2],
            masks: vec![MaskSource::SlotAttention, MaskSource::Decoder],
            baselines: vec![Baseline::Blocks, Baseline::KMeans, Baseline::Untrained, Baseline::Ceiling],
            limit: None,
            samples: 12,
            data: None,
            generation: GenerationSpec::default(),
            composition: CompositionSpec::default(),
            probe: ProbeSpec::default(),
        }
    }
}

impl EvaluationSpec {
    /// The validation pictures: `[evaluation.data]`, or `images` and `instances` in COCO's format.
    pub fn pictures(&self) -> ImagesSpec {
        let mut images = self.data.clone().unwrap_or_else(|| ImagesSpec {
            uri: self.images.clone(),
            annotations: self.instances.clone(),
            ..ImagesSpec::default()
        });
        images.limit = self.limit.or(images.limit);
        images
    }
}

/// Where the masks of a picture come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskSource {
    /// The attention of the last slot-attention iteration (GLASS evaluates this one).
    SlotAttention,
    /// The masks of the decoder: alpha of a broadcast decoder, cross-attention of an autoregressive
    /// one (DINOSAUR and SPOT evaluate this one).
    Decoder,
    /// The same, averaged over all orders in which an autoregressive decoder was trained (SPOT's
    /// ensemble).
    DecoderEnsemble,
}

/// A method that needs no training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// The picture cut into as many rectangles as there are slots.
    Blocks,
    /// k-means on the encoder's tokens of one picture, one cluster a slot.
    KMeans,
    /// Slot attention with its initial weights.
    Untrained,
    /// The ground truth itself, seen through the encoder's token grid: what no mask on that grid can exceed by much.
    Ceiling,
}

/// Pictures drawn from the slots of validation pictures. Defaults: GLASS evaluation code (method of its generation script).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerationSpec {
    /// How many validation pictures.
    pub images: u32,
    /// Sampler.
    pub scheduler: SchedulerChoice,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 switches it off.
    pub guidance_scale: f32,
    /// Seed of the initial latents, each picture's own.
    pub seed: u64,
    /// Which pictures share their initial latents.
    pub noise: InitialNoise,
    /// `[evaluation.generation.metrics]`; what is drawn does not depend on it.
    pub metrics: PictureMetricsSpec,
}

impl Default for GenerationSpec {
    fn default() -> Self {
        Self {
            images: 512,
            scheduler: SchedulerChoice::DpmSolver,
            steps: 250,
            guidance_scale: 1.3,
            seed: 42,
            noise: InitialNoise::Picture,
            metrics: PictureMetricsSpec::default(),
        }
    }
}

/// Where the initial latents of a drawing come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialNoise {
    /// Every picture has its own.
    Picture,
    /// As in the GLASS release, which sets its seed anew for every batch of 64: pictures 64 apart share their latents.
    ReleaseBatch,
}

/// Edits of the slots before drawing. Defaults: GLASS evaluation code (its composition script).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompositionSpec {
    /// How many pairs of validation pictures.
    pub pairs: u32,
    /// What is done to each pair.
    pub edits: Vec<Edit>,
    /// Sampler.
    pub scheduler: SchedulerChoice,
    /// Denoising steps.
    pub steps: u32,
    /// Classifier-free guidance; 1 switches it off.
    pub guidance_scale: f32,
    /// Seed of the initial latents, each picture's own.
    pub seed: u64,
    /// Steps after a removal, where they differ: the GLASS release takes 20. The picture before keeps `steps`.
    pub removal_steps: Option<u32>,
    /// Compositions of whole sets of slots, scored against real pictures.
    pub exchanges: Vec<Exchange>,
    /// How many validation pictures are exchanged.
    pub exchange_pictures: u32,
    /// Pictures that exchange slots among each other: the batch of the published protocols.
    pub exchange_group: u32,
}

impl Default for CompositionSpec {
    fn default() -> Self {
        Self {
            pairs: 100,
            edits: vec![Edit::Remove, Edit::Add, Edit::Swap],
            scheduler: SchedulerChoice::DpmSolver,
            steps: 75,
            guidance_scale: 3.0,
            seed: 42,
            removal_steps: None,
            exchanges: Vec::new(),
            exchange_pictures: 512,
            exchange_group: 64,
        }
    }
}

/// One edit of a set of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Leave the slot out of the conditioning (the network accepts any number of slots).
    Remove,
    /// Set the slot to zero, as the GLASS release does.
    RemoveZeroed,
    /// Add a slot of the other picture.
    Add,
    /// Exchange a slot with one of the other picture, in both pictures.
    Swap,
    /// "Add" of the GLASS release: a random slot of the second picture is overwritten by a random slot of the first.
    ReleaseAdd,
    /// "Swap" of the GLASS release, which copies: a random slot of the first picture replaces slot 0 of the second.
    ReleaseSwap,
}

/// How slots are exchanged within a group of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// Slot k comes from the picture k places on, around the group (SlotDiffusion).
    Shift,
    /// Every slot comes from a picture of its own random order of the group (SlotAdapt, CODA).
    Shuffle,
}
