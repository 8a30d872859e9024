//! `[trainer]`: what is trained, on which masks, with which losses and for how long.
//!
//! The defaults are the paper's where it states a value and otherwise those of the code bases it
//! builds upon (Latent Slot Diffusion for the slots and their optimiser, DINOSAUR for the feature
//! decoder). A run spec writes down what it changes; the resolved table is stored with the run.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

/// Everything that decides what a training run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainerSpec {
    /// Smallest share of generated images that must have a pseudo-mask for training to start.
    pub min_coverage: f64,
    /// `[trainer.encoder]`
    pub encoder: EncoderSpec,
    /// `[trainer.slots]`
    pub slots: SlotsSpec,
    /// `[trainer.features]`: instance guidance.
    pub features: FeatureDecoderSpec,
    /// `[trainer.diffusion]`: the image decoder.
    pub diffusion: DiffusionDecoderSpec,
    /// `[trainer.guidance]`: semantic guidance.
    pub guidance: GuidanceSpec,
    /// `[trainer.loss]`
    pub loss: LossSpec,
    /// `[trainer.data]`
    pub data: DataSpec,
    /// `[trainer.optimizer]`
    pub optimizer: OptimizerSpec,
    /// `[trainer.phase1]`: slots and feature decoder.
    pub phase1: PhaseSpec,
    /// `[trainer.phase2]`: the image decoder as well, the slots gently.
    #[serde(deserialize_with = "second_phase")]
    pub phase2: PhaseSpec,
    /// `[trainer.drift]`: watches that phase 2 keeps phase 1's slots.
    pub drift: DriftSpec,
    /// `[trainer.checkpoint]`
    pub checkpoint: CheckpointSpec,
    /// `[trainer.track]`
    pub track: TrackSpec,
}

impl Default for TrainerSpec {
    fn default() -> Self {
        Self {
            min_coverage: 0.5,
            encoder: EncoderSpec::default(),
            slots: SlotsSpec::default(),
            features: FeatureDecoderSpec::default(),
            diffusion: DiffusionDecoderSpec::default(),
            guidance: GuidanceSpec::default(),
            loss: LossSpec::default(),
            data: DataSpec::default(),
            optimizer: OptimizerSpec::default(),
            phase1: PhaseSpec::default(),
            phase2: PhaseSpec::second(),
            drift: DriftSpec::default(),
            checkpoint: CheckpointSpec::default(),
            track: TrackSpec::default(),
        }
    }
}

/// A part that a run can do with or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// With it.
    On,
    /// Without it.
    Off,
}

/// The frozen feature encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderSpec {
    /// Folder of a DINOv2 checkpoint in the layout of `transformers`.
    pub weights: PathBuf,
    /// Side in pixels of the picture it sees (GLASS: 448, which gives 32 × 32 tokens).
    pub image_size: u32,
}

impl Default for EncoderSpec {
    fn default() -> Self {
        Self {
            weights: PathBuf::from("assets/mini/dinov2"),
            image_size: 448,
        }
    }
}

/// Slot attention (`MultiHeadSTEVESA` of Latent Slot Diffusion, configuration of GLASS COCO).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlotsSpec {
    /// Number of slots: COCO 7, VOC 6.
    pub count: usize,
    /// Rounds of competition.
    pub iterations: usize,
    /// Attention heads; softmax runs over heads and slots together.
    pub heads: usize,
    /// Width of a slot while it competes.
    pub size: usize,
    /// Hidden width of the residual MLP after each round.
    pub mlp_size: usize,
    /// Width of the slots given to the decoders; the cross-attention width of the UNet.
    pub out_size: usize,
    /// Added to the attention before it is normalised over the tokens.
    pub epsilon: f64,
    /// Where slots start.
    pub initial: InitialSlots,
    /// What is added to the features before slots see them.
    pub position: Position,
}

impl Default for SlotsSpec {
    fn default() -> Self {
        Self {
            count: 7,
            iterations: 5,
            heads: 1,
            size: 768,
            mlp_size: 768,
            out_size: 1024,
            epsilon: 1e-6,
            initial: InitialSlots::Gaussian,
            position: Position::Grid,
        }
    }
}

/// Where slots start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialSlots {
    /// Drawn from one learned Gaussian: any number of slots can be used at test time.
    Gaussian,
    /// One learned vector a slot.
    Learned,
}

/// Position embedding of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// None.
    None,
    /// A linear map of (row, column, 1 − row, 1 − column) of the token's centre.
    Grid,
}

/// The spatial-broadcast MLP decoder of the features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureDecoderSpec {
    /// Hidden layers.
    pub layers: usize,
    /// Their width.
    pub size: usize,
    /// Share of the tokens decoded in a step, drawn anew each step; 1 decodes all.
    pub token_share: f64,
}

impl Default for FeatureDecoderSpec {
    fn default() -> Self {
        Self {
            layers: 3,
            size: 2048,
            token_share: 1.0,
        }
    }
}

/// The diffusion decoder: a pretrained UNet with slots in place of text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionDecoderSpec {
    /// Folder of a Stable Diffusion checkpoint in the layout of `diffusers`.
    pub weights: PathBuf,
    /// Where the clean latents come from.
    pub latents: Latents,
    /// Side in pixels of the picture that is encoded, where latents are encoded.
    pub image_size: u32,
    /// Which parameters of the UNet phase 2 trains.
    pub train: UNetPart,
}

impl Default for DiffusionDecoderSpec {
    fn default() -> Self {
        Self {
            weights: PathBuf::from("assets/mini/stable-diffusion"),
            latents: Latents::Encode,
            image_size: 256,
            train: UNetPart::All,
        }
    }
}

/// Where the clean latents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latents {
    /// The latent column of the generations: what the sampler ended with. A mirrored sample
    /// mirrors its latent, which is only nearly the latent of the mirrored image.
    Stored,
    /// A sample of the autoencoder's posterior of the (mirrored) image, as Latent Slot Diffusion.
    Encode,
}

/// Which parameters of the UNet are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UNetPart {
    /// All of them.
    All,
    /// Only its cross-attention layers.
    Attn2,
}

/// How pseudo-masks steer the slots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuidanceSpec {
    /// Whether the ground (label 0) is a component to be matched like an object.
    pub background: Switch,
    /// Side in pixels on which masks are compared: the slot masks are enlarged to it (bilinear),
    /// the pseudo-masks resized (nearest).
    pub resolution: u32,
    /// Weight of a sample by the quality its pseudo-mask was measured to have.
    pub reliability: Reliability,
}

impl Default for GuidanceSpec {
    fn default() -> Self {
        Self {
            background: Switch::On,
            resolution: 256,
            reliability: Reliability::Off,
        }
    }
}

/// How the quality columns of the masks weigh a sample's semantic loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reliability {
    /// Every mask counts the same.
    Off,
    /// By the agreement of the masks of the even and the odd sampling steps.
    Agreement,
}

/// `L = diffusion · L_mse + semantic · L_bce + instance · L_feature` (GLASS, Loss & Training).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossSpec {
    /// Weight of the denoising loss; phases switch it with `diffusion`.
    pub diffusion: f64,
    /// Weight of the mask loss; 0 leaves semantic guidance out.
    pub semantic: f64,
    /// Weight of the feature loss; 0 leaves instance guidance out.
    pub instance: f64,
    /// The steps over which the semantic weight rises from zero. With the full weight from step
    /// 0, all objects may collapse into one slot before slots have begun to compete for features.
    pub semantic_ramp: Ramp,
}

impl Default for LossSpec {
    fn default() -> Self {
        Self {
            diffusion: 1.0,
            semantic: 0.7,
            instance: 0.9,
            semantic_ramp: Ramp::default(),
        }
    }
}

/// Zero before `start`, one from `end` on, a straight line between. `start = end = 0` is one throughout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ramp {
    /// Last step with weight zero.
    pub start: u64,
    /// First step with the full weight.
    pub end: u64,
}

/// What happens to samples on their way in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSpec {
    /// Probability that a sample is mirrored, its mask with it.
    pub flip: f64,
    /// Whether the frozen features are computed once and kept in a file.
    pub cache: Switch,
}

impl Default for DataSpec {
    fn default() -> Self {
        Self {
            flip: 0.5,
            cache: Switch::On,
        }
    }
}

/// The optimiser, the same for every parameter but for its learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSpec {
    /// Which one.
    pub name: OptimizerName,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay (AdamW) or L2 penalty (Adam).
    pub weight_decay: f64,
    /// Largest L2 norm of all gradients together; 0 does not clip.
    pub clip: f64,
    /// Batches whose gradients are averaged before a step.
    pub accumulate: u32,
    /// Decay of the averaged weights; 0 keeps no average.
    pub ema: f64,
}

impl Default for OptimizerSpec {
    fn default() -> Self {
        Self {
            name: OptimizerName::AdamW,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-2,
            clip: 1.0,
            accumulate: 1,
            ema: 0.0,
        }
    }
}

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Adam.
    Adam,
    /// AdamW.
    AdamW,
}

/// One phase of training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhaseSpec {
    /// Optimiser steps.
    pub steps: u64,
    /// Samples in a batch.
    pub batch: usize,
    /// Whether the denoising loss is part of the phase.
    pub diffusion: Switch,
    /// Highest learning rates.
    pub learning_rate: LearningRates,
    /// Steps over which the learning rate rises from zero.
    pub warmup: u64,
    /// What it does afterwards.
    pub schedule: Schedule,
}

impl Default for PhaseSpec {
    fn default() -> Self {
        Self {
            steps: 500_000,
            batch: 128,
            diffusion: Switch::On,
            learning_rate: LearningRates::default(),
            warmup: 2_500,
            schedule: Schedule::Constant,
        }
    }
}

impl PhaseSpec {
    /// The defaults of phase 2: the UNet at phase 1's rate, the rest at a tenth of it.
    fn second() -> Self {
        Self {
            steps: 100_000,
            learning_rate: LearningRates {
                slots: 2e-6,
                features: 2e-6,
                unet: 2e-5,
            },
            ..Self::default()
        }
    }
}

/// Keys of phase 2 that are not written have phase 2's defaults, not phase 1's.
fn second_phase<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PhaseSpec, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        steps: Option<u64>,
        batch: Option<usize>,
        diffusion: Option<Switch>,
        learning_rate: Option<WrittenRates>,
        warmup: Option<u64>,
        schedule: Option<Schedule>,
    }
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct WrittenRates {
        slots: Option<f64>,
        features: Option<f64>,
        unet: Option<f64>,
    }
    let written = Written::deserialize(deserializer)?;
    let (default, rates) = (
        PhaseSpec::second(),
        written.learning_rate.unwrap_or_default(),
    );
    Ok(PhaseSpec {
        steps: written.steps.unwrap_or(default.steps),
        batch: written.batch.unwrap_or(default.batch),
        diffusion: written.diffusion.unwrap_or(default.diffusion),
        learning_rate: LearningRates {
            slots: rates.slots.unwrap_or(default.learning_rate.slots),
            features: rates.features.unwrap_or(default.learning_rate.features),
            unet: rates.unet.unwrap_or(default.learning_rate.unet),
        },
        warmup: written.warmup.unwrap_or(default.warmup),
        schedule: written.schedule.unwrap_or(default.schedule),
    })
}

/// Learning rates by parameter group; 0 freezes the group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearningRates {
    /// Slot attention.
    pub slots: f64,
    /// The feature decoder.
    pub features: f64,
    /// The UNet.
    pub unet: f64,
}

impl Default for LearningRates {
    fn default() -> Self {
        Self {
            slots: 2e-5,
            features: 2e-5,
            unet: 0.0,
        }
    }
}

/// The learning rate after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Stays.
    Constant,
    /// Falls to zero at the phase's last step along half a cosine.
    Cosine,
}

/// Phase 2 must not undo phase 1: slots of a fixed probe batch are compared with those phase 1
/// ended with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSpec {
    /// Steps between looks; 0 never looks.
    pub every: u64,
    /// Samples in the probe batch.
    pub samples: usize,
    /// Largest share of tokens that may have changed their slot.
    pub threshold: f64,
    /// What happens beyond it.
    pub action: DriftAction,
}

impl Default for DriftSpec {
    fn default() -> Self {
        Self {
            every: 500,
            samples: 32,
            threshold: 0.1,
            action: DriftAction::Freeze,
        }
    }
}

/// What happens when slots drift too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftAction {
    /// Only reported.
    Watch,
    /// Slot attention and feature decoder go back to what phase 1 ended with and stay frozen.
    Freeze,
}

/// When a run is saved. It is always saved at the end of a phase and when interrupted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointSpec {
    /// Steps between checkpoints; 0 saves only at the ends of phases.
    pub every: u64,
}

impl Default for CheckpointSpec {
    fn default() -> Self {
        Self { every: 25_000 }
    }
}

/// What a run shows of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrackSpec {
    /// Steps between written metrics (means over the steps since the last).
    pub log_every: u64,
    /// Steps between preview pictures; 0 draws none.
    pub preview_every: u64,
    /// Samples in a preview picture.
    pub preview_samples: usize,
}

impl Default for TrackSpec {
    fn default() -> Self {
        Self {
            log_every: 50,
            preview_every: 5_000,
            preview_samples: 8,
        }
    }
}
