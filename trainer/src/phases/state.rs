//! Everything a step changes.

use burn::module::Module;
use burn::tensor::Device;
use glass_schemas::spec::trainer::TrainerSpec;

use super::drift::DriftState;
use crate::decoders::{DiffusionDecoder, MlpDecoder, MlpDecoderConfig};
use crate::grouping::{SlotAttention, SlotAttentionConfig};
use crate::layers::Initial;
use crate::optim::{Ema, GroupOptimizer};
use crate::track::{History, Window};

/// The networks of a run.
#[derive(Debug, Clone)]
pub struct Networks {
    /// Slot attention.
    pub slots: SlotAttention,
    /// The feature decoder.
    pub features: MlpDecoder,
    /// The image decoder, where a phase of the run uses it.
    pub diffusion: Option<DiffusionDecoder>,
}

impl Networks {
    /// With initial weights and without an image decoder; `feature_shape` is tokens and width.
    pub fn new(spec: &TrainerSpec, feature_shape: [usize; 2], seed: u64, device: &Device) -> Self {
        let [tokens, feature_size] = feature_shape;
        let initial = Initial::new(seed, device);
        Self {
            slots: SlotAttentionConfig::new(feature_size, &spec.slots)
                .init(&initial.scope("slots")),
            features: MlpDecoderConfig {
                slot_size: spec.slots.out_size,
                tokens,
                feature_size,
                features: spec.features.clone(),
            }
            .init(&initial.scope("features")),
            diffusion: None,
        }
    }
}

/// The optimiser of each parameter group.
#[derive(Clone)]
pub struct Optimizers {
    /// Of slot attention.
    pub slots: GroupOptimizer,
    /// Of the feature decoder.
    pub features: GroupOptimizer,
    /// Of the UNet.
    pub unet: GroupOptimizer,
}

impl Optimizers {
    /// With empty moments.
    pub fn new(spec: &TrainerSpec) -> Self {
        let new = || GroupOptimizer::new(&spec.optimizer);
        Self {
            slots: new(),
            features: new(),
            unet: new(),
        }
    }
}

/// What a checkpoint holds.
#[derive(Clone)]
pub struct TrainState {
    /// Steps done, over both phases.
    pub step: u64,
    /// The networks.
    pub networks: Networks,
    /// Their optimisers.
    pub optimizers: Optimizers,
    /// Averaged weights.
    pub ema: Ema,
    /// Whether slots still move in phase 2.
    pub drift: DriftState,
    /// Metrics so far.
    pub history: History,
    /// Metrics since the last line.
    pub window: Window,
}

impl TrainState {
    /// Slots that were frozen stay so.
    pub(crate) fn freeze_if_drifted(&mut self) {
        if self.drift.frozen() {
            self.networks.slots = self.networks.slots.clone().no_grad();
            self.networks.features = self.networks.features.clone().no_grad();
        }
    }

    /// Before the first step.
    pub fn new(spec: &TrainerSpec, networks: Networks) -> Self {
        Self {
            step: 0,
            networks,
            optimizers: Optimizers::new(spec),
            ema: Ema::new(spec.optimizer.ema),
            drift: DriftState::default(),
            history: History::default(),
            window: Window::default(),
        }
    }
}
