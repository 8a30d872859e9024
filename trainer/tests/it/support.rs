//! A small run on made-up samples.

use burn::tensor::Device;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{
    FeatureDecoderSpec, GuidanceSpec, LearningRates, PhaseSpec, Position, Ramp, Schedule, SlotsSpec, Switch,
    TrainerSpec,
};
use glass_trainer::checkpoint::Named;
use glass_trainer::data::{MemorySet, mirror};
use safetensors::SafeTensors;

pub const SIDE: usize = 4;
pub const FEATURE_SIZE: usize = 12;

pub fn device() -> Device {
    Device::flex().autodiff()
}

pub fn small_spec() -> TrainerSpec {
    let phase = PhaseSpec {
        steps: 6,
        batch: 4,
        diffusion: Switch::Off,
        learning_rate: LearningRates { slots: 1e-3, features: 1e-3, unet: 0.0, ..LearningRates::default() },
        warmup: 2,
        schedule: Schedule::Cosine,
        ..PhaseSpec::default()
    };
    let mut spec = TrainerSpec {
        slots: SlotsSpec {
            count: 3,
            iterations: 2,
            size: 8,
            mlp_size: 16,
            out_size: 10,
            position: Position::None,
            ..SlotsSpec::default()
        },
        features: FeatureDecoderSpec { layers: 2, size: 16, token_share: 0.5, ..FeatureDecoderSpec::default() },
        guidance: GuidanceSpec { resolution: 8, ..GuidanceSpec::default() },
        phase2: PhaseSpec { steps: 4, ..phase.clone() },
        phase1: phase,
        ..TrainerSpec::default()
    };
    spec.loss.semantic_ramp = Ramp { start: 1, end: 4 };
    spec.optimizer.ema = 0.9;
    spec.track.log_every = 2;
    spec.track.preview_every = 0;
    spec.checkpoint.every = 2;
    spec.drift.every = 2;
    spec.drift.samples = 3;
    spec
}

/// The f32 tensors of a safetensors file.
pub fn named(path: &std::path::Path) -> Named {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |data: &[u8]| -> Vec<f32> {
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let tensors = file.tensors().into_iter();
    tensors.map(|(name, view)| (name, (view.shape().to_vec(), numbers(view.data())))).collect()
}

/// Ten samples: features by region of a mask of two objects.
pub fn samples() -> MemorySet {
    let (count, tokens, mask_side) = (10, SIDE * SIDE, 8);
    let mut set =
        MemorySet { samples: count, feature_shape: [tokens, FEATURE_SIZE], mask_side, ..MemorySet::default() };
    for sample in 0..count {
        let stream = Stream::new(1, sample, Purpose::Latent);
        let split = 2 + stream.below(0, 5) as usize;
        let mask: Vec<u8> = (0..mask_side * mask_side)
            .map(|pixel| match (pixel / mask_side, pixel % mask_side) {
                (0, _) => 255,
                (_, column) if column < split => 0,
                (row, _) if row < 4 => 3,
                _ => 7,
            })
            .collect();
        let noise = stream.at(1).normal(tokens * FEATURE_SIZE);
        let features: Vec<f32> = (0..tokens * FEATURE_SIZE)
            .map(|i| {
                let (row, column) = (i / FEATURE_SIZE / SIDE, i / FEATURE_SIZE % SIDE);
                let label = mask[(row * 2 + 1) * mask_side + column * 2];
                f32::from(label % 4 == (i % FEATURE_SIZE) as u8 % 4) + 0.1 * noise[i]
            })
            .collect();
        set.features[1].extend(mirror(&features, SIDE, FEATURE_SIZE));
        set.features[0].extend(features);
        set.masks.extend(mask);
    }
    set
}
