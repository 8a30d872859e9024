//! Milliseconds and memory that a training step of a method takes at its published sizes, on random
//! features of DINOv2-B (1,024 tokens of 768) and without an image decoder. `ci/bench/training.py`
//! compares it with PyTorch.
//!
//! `cargo run --release -p glass-trainer --example method_step -- METHOD [BATCH] [STEPS]`

use std::time::{Duration, Instant};

use burn::tensor::Device;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::{ImageDecoderKind, Switch};
use glass_trainer::data::{MemorySet, Order, TrainingSet};
use glass_trainer::guidance::Guide;
use glass_trainer::phases::{Networks, Stepper, TrainState};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let method = arguments.next().unwrap_or_else(|| "dinosaur-mlp".to_owned());
    let batch = arguments.next().map_or(Ok(2), |n| n.parse())?;
    let steps: u32 = arguments.next().map_or(Ok(3), |n| n.parse())?;
    let text = format!("version = 1\nname = \"step\"\nmethod = \"{method}\"");
    let mut spec = RunSpec::parse(&text, "method_step")?.trainer;
    spec.image.kind = ImageDecoderKind::None;
    spec.phase1.diffusion = Switch::Off;
    spec.phase1.batch = batch;
    let set = samples(spec.guidance.resolution as usize);
    let device = Device::flex().autodiff();
    let mut state = TrainState::new(&spec, Networks::new(&spec, set.feature_shape(), 0, &device));
    let mut stepper = Stepper {
        spec: &spec,
        seed: 0,
        samples: &set,
        device: &device,
        guidance: Guide::new(&spec, 32, None)?,
        order: Order::new(0, set.len(), 0.5),
        usage: None,
    };
    stepper.step(&mut state)?;
    let mut fastest = Duration::MAX;
    for _ in 0..steps {
        let start = Instant::now();
        stepper.step(&mut state)?;
        fastest = fastest.min(start.elapsed());
    }
    let memory = glass_stage::peak_memory().unwrap_or(0);
    println!("{:.1} ms {:.3} GB", fastest.as_secs_f64() * 1e3, memory as f64 / 1e9);
    Ok(())
}

/// A few samples: they are read, not computed.
fn samples(mask_side: usize) -> MemorySet {
    let (count, tokens, size) = (2, 1024, 768);
    let draw = |i| Stream::new(9, i, Purpose::Noise).normal(count * tokens * size);
    MemorySet {
        samples: count,
        feature_shape: [tokens, size],
        features: [draw(0), draw(1)],
        mask_side,
        masks: (0..count * mask_side * mask_side).map(|i| [0, 3, 5, 255][i / 700 % 4]).collect(),
        ..MemorySet::default()
    }
}
