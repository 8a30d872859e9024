//! Milliseconds a training step takes at the sizes of the mini run, without reading data.
//!
//! `cargo run --release -p glass-trainer --example step_time -- [steps] [semantic|instance|once|ramp]`

use std::time::Instant;

use burn::tensor::Device;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{
    FeatureDecoderSpec, GuidanceSpec, Position, SlotsSpec, Switch, TrainerSpec,
};
use glass_trainer::data::{MemorySet, Order, TrainingSet};
use glass_trainer::guidance::Guide;
use glass_trainer::phases::{Networks, Stepper, TrainState};

fn main() -> glass_trainer::Result<()> {
    let steps = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(20);
    let mut spec = TrainerSpec {
        slots: SlotsSpec {
            count: 6,
            size: 128,
            mlp_size: 256,
            out_size: 128,
            position: Position::None,
            ..SlotsSpec::default()
        },
        features: FeatureDecoderSpec {
            layers: 2,
            size: 256,
            token_share: 0.25,
            ..FeatureDecoderSpec::default()
        },
        guidance: GuidanceSpec {
            resolution: 64,
            ..GuidanceSpec::default()
        },
        ..TrainerSpec::default()
    };
    for change in std::env::args().skip(2) {
        match change.as_str() {
            "semantic" => spec.loss.instance = 0.0,
            "instance" => spec.loss.semantic = 0.0,
            "once" => spec.slots.iterations = 1,
            "ramp" => spec.loss.semantic_ramp.end = u64::MAX,
            other => println!("`{other}` is unknown: `semantic`, `instance`, `once`, `ramp`"),
        }
    }
    spec.phase1.batch = 32;
    spec.phase1.diffusion = Switch::Off;
    let set = samples();
    let device = Device::flex().autodiff();
    let mut state = TrainState::new(&spec, Networks::new(&spec, set.feature_shape(), 0, &device));
    let mut stepper = Stepper {
        spec: &spec,
        seed: 0,
        samples: &set,
        device: &device,
        guidance: Guide::new(&spec, 16, None)?,
        order: Order::new(0, set.len(), 0.5),
        usage: None,
    };
    for _ in 0..3 {
        stepper.step(&mut state)?;
    }
    let start = Instant::now();
    for _ in 0..steps {
        stepper.step(&mut state)?;
    }
    let each = start.elapsed().as_secs_f64() * 1e3 / f64::from(steps);
    println!(
        "{each:.1} ms a step, total loss {:?}",
        stepper.step(&mut state)?.total
    );
    Ok(())
}

fn samples() -> MemorySet {
    let (count, tokens, size, side) = (64, 256, 192, 64);
    let draw = |i| Stream::new(9, i, Purpose::Noise).normal(count * tokens * size);
    MemorySet {
        samples: count,
        feature_shape: [tokens, size],
        features: [draw(0), draw(1)],
        mask_side: side,
        masks: (0..count * side * side)
            .map(|i| [0, 3, 5, 255][i / 700 % 4])
            .collect(),
        ..MemorySet::default()
    }
}
