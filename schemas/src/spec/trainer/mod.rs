//! `[trainer]`: what is trained, on which masks, with which losses and for how long.
//!
//! The defaults are the paper's where it states a value and otherwise those of the code bases it
//! builds upon (Latent Slot Diffusion for the slots and their optimiser, DINOSAUR for the feature
//! decoder). A run spec writes down what it changes; the resolved table is stored with the run.

mod check;
mod data;
mod decoders;
mod model;
mod objective;
mod schedule;
mod sockets;

use serde::{Deserialize, Serialize};

pub use data::{Crop, DataSource, DataSpec, TrainingResampling};
pub use decoders::{
    AutoencoderKind, BroadcastDecoderSpec, DiffusionDecoderSpec, FeatureDecoderKind, FeatureDecoderSpec,
    ImageDecoderKind, ImageDecoderSpec, LatentDiffusionSpec, Latents, Orders, OutputStart, TransformerBlocks, UNetPart,
};
pub use model::{
    EncoderKind, EncoderOutput, EncoderSpec, InitialSlots, InitialWeights, KnownCount, NetworkStart, Pixels, Position,
    SlotsSpec, TokenWidth, Truncation,
};
pub use objective::{GuidanceSource, GuidanceSpec, LossSpec, Ramp, Reliability};
use schedule::second_phase;
pub use sockets::Sockets;

pub use schedule::{ClipNorm, ClipScope, LearningRates, OptimizerName, OptimizerSpec, PhaseSpec, Schedule};

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
    /// `[trainer.image]`: which image decoder.
    pub image: ImageDecoderSpec,
    /// `[trainer.diffusion]`: the image decoder that is a pretrained UNet.
    pub diffusion: DiffusionDecoderSpec,
    /// `[trainer.latent_diffusion]`: the image decoder that is a UNet from nothing.
    pub latent_diffusion: LatentDiffusionSpec,
    /// `[trainer.broadcast]`: the image decoder that paints pixels.
    pub broadcast: BroadcastDecoderSpec,
    /// `[trainer.guidance]`: which masks steer the slots.
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
            image: ImageDecoderSpec::default(),
            diffusion: DiffusionDecoderSpec::default(),
            latent_diffusion: LatentDiffusionSpec::default(),
            broadcast: BroadcastDecoderSpec::default(),
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

impl TrainerSpec {
    /// Side in pixels of the pictures that the image decoder makes.
    pub const fn picture_size(&self) -> u32 {
        match self.image.kind {
            ImageDecoderKind::None | ImageDecoderKind::StableDiffusion => self.diffusion.image_size,
            ImageDecoderKind::LatentDiffusion => self.latent_diffusion.image_size,
            ImageDecoderKind::Broadcast => self.broadcast.image_size,
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
        Self { every: 500, samples: 32, threshold: 0.1, action: DriftAction::Freeze }
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
        Self { log_every: 50, preview_every: 5_000, preview_samples: 8 }
    }
}
