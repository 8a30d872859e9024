//! Milliseconds and memory that a training step takes, without reading data. `ci/bench/training.py` compares it
//! with PyTorch.
//!
//! `cargo run --release --workspace --example step_time -- METHOD|RUN.toml [PHASE] [STEPS] [KEY=VALUE ...]`
//!
//! A METHOD of `manifests/baselines` runs at its published sizes on random features of DINOv2-B at 448 pixels
//! (1,024 tokens of 768), without an image decoder; a run spec with the networks it names.

use std::time::{Duration, Instant};

use burn::tensor::Device;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::TrainerSpec;
use glass_trainer::data::{MemorySet, Order, TrainingSet};
use glass_trainer::decoders::ImageDecoder;
use glass_trainer::encoders::{FrozenNetwork, TrainedEncoder};
use glass_trainer::guidance::Guide;
use glass_trainer::phases::{Networks, Stepper, TrainState};

/// Samples that are made up.
const SAMPLES: usize = 4;
/// DINOv2-B at 448 pixels.
const PUBLISHED: [usize; 2] = [1024, 768];

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let subject = words.next().unwrap_or_else(|| "dinosaur-mlp".to_owned());
    let phase: u8 = words.next().map_or(Ok(1), |n| n.parse())?;
    let steps: u32 = words.next().map_or(Ok(3), |n| n.parse())?;
    let changes: Vec<String> = words.collect();
    let device = Device::flex().autodiff();
    let (spec, networks, set) = match subject.ends_with(".toml") {
        true => of_run(&subject, &changes, &device)?,
        false => of_method(&subject, &changes, &device)?,
    };
    let tokens = networks.feature_shape[0];
    let mut state = TrainState::new(&spec, networks);
    if phase == 2 {
        state.step = spec.phase1.steps;
        state.networks = state.networks.in_phase(&spec, &spec.phase2);
    }
    let mut stepper = Stepper {
        spec: &spec,
        seed: 0,
        samples: &set,
        device: &device,
        guidance: Guide::new(&spec, tokens.isqrt(), None)?,
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

fn of_method(method: &str, changes: &[String], device: &Device) -> anyhow::Result<(TrainerSpec, Networks, MemorySet)> {
    let text = format!(
        "version = 1\nname = \"step\"\nmethod = \"{method}\"\n[trainer.image]\nkind = \"none\"\n\
         [trainer.phase1]\ndiffusion = \"off\"\n"
    );
    let spec = RunSpec::parse_with(&text, "step_time", changes)?.trainer;
    let networks = Networks::new(&spec, PUBLISHED, 0, device);
    let set = samples(&spec, PUBLISHED);
    Ok((spec, networks, set))
}

fn of_run(path: &str, changes: &[String], device: &Device) -> anyhow::Result<(TrainerSpec, Networks, MemorySet)> {
    let spec = RunSpec::load_with(path.as_ref(), changes)?.trainer;
    let frozen = FrozenNetwork::load(&spec.encoder, &device.clone().inner())?;
    let set = samples(&spec, frozen.shape(spec.encoder.image_size as usize));
    let encoder = TrainedEncoder::new(&spec.encoder, 0, device)?;
    let shape = match &encoder {
        Some(encoder) => encoder.feature_shape(set.feature_shape()),
        None => set.feature_shape(),
    };
    let mut networks = Networks::new(&spec, shape, 0, device);
    networks.encoder = encoder;
    networks.image = ImageDecoder::new(&spec, 0, device)?;
    Ok((spec, networks, set))
}

/// Numbers; what they are does not change the time.
fn samples(spec: &TrainerSpec, feature_shape: [usize; 2]) -> MemorySet {
    let stream = Stream::new(0, "samples", Purpose::Latent);
    let features = stream.normal(SAMPLES * feature_shape[0] * feature_shape[1]);
    let mask_side = spec.guidance.resolution as usize;
    let picture_side = spec.encoder.image_size as usize;
    let latent_side = spec.picture_size() as usize / 8;
    let latent_shape = [8, latent_side, latent_side];
    let pictures = stream.at(1).uniform(SAMPLES * picture_side * picture_side * 3);
    MemorySet {
        samples: SAMPLES,
        feature_shape,
        features: [features.clone(), features],
        latent_shape,
        latents: stream.at(2).normal(SAMPLES * latent_shape.iter().product::<usize>()),
        picture_side,
        pictures: pictures.into_iter().map(|u| (u * 255.0) as u8).collect(),
        mask_side,
        masks: (0..SAMPLES * mask_side * mask_side).map(|i| [0, 3, 5, 255][i / 700 % 4]).collect(),
        ..MemorySet::default()
    }
}
