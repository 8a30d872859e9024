//! Milliseconds a training step of a method that paints takes, without reading data.
//!
//! `cargo run --release -p glass-trainer --example pixel_step_time -- RUN.toml [steps]`; the same in
//! PyTorch: `ci/bench/pixel_methods.py`.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::RunSpec;
use glass_trainer::data::{MemorySet, Order, TrainingSet};
use glass_trainer::decoders::ImageDecoder;
use glass_trainer::encoders::{FrozenNetwork, TrainedEncoder};
use glass_trainer::guidance::Guide;
use glass_trainer::phases::{Networks, Stepper, TrainState};

/// Samples that are made up.
const SAMPLES: usize = 32;
/// Channels and side of the latents of the mini autoencoder.
const LATENT: [usize; 3] = [8, 16, 16];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("the path of a run spec is needed")?;
    let steps: u32 = arguments.next().map_or(Ok(10), |n| n.parse())?;
    let spec = RunSpec::load(Path::new(&path))?.trainer;
    let device = Device::flex().autodiff();
    let frozen = FrozenNetwork::load(&spec.encoder, &device.clone().inner())?;
    let set = samples(frozen.shape(spec.encoder.image_size as usize));
    let encoder = TrainedEncoder::new(&spec.encoder, 0, &device)?;
    let shape = match &encoder {
        Some(encoder) => encoder.feature_shape(set.feature_shape()),
        None => set.feature_shape(),
    };
    let mut networks = Networks::new(&spec, shape, 0, &device);
    networks.encoder = encoder;
    networks.image = ImageDecoder::new(&spec, 0, &device)?;
    let mut state = TrainState::new(&spec, networks);
    let mut stepper = Stepper {
        spec: &spec,
        seed: 0,
        samples: &set,
        device: &device,
        guidance: Guide::new(&spec, shape[0].isqrt(), None)?,
        order: Order::new(0, set.len(), 0.0),
        usage: None,
    };
    stepper.step(&mut state)?;
    let begin = Instant::now();
    for _ in 0..steps {
        stepper.step(&mut state)?;
    }
    println!(
        "{:.1} ms a step",
        begin.elapsed().as_secs_f64() * 1e3 / f64::from(steps)
    );
    Ok(())
}

/// Numbers; what they are does not change the time.
fn samples(feature_shape: [usize; 2]) -> MemorySet {
    let stream = Stream::new(0, "samples", Purpose::Latent);
    let features = stream.normal(SAMPLES * feature_shape[0] * feature_shape[1]);
    let picture_side = 128;
    let pictures = stream
        .at(1)
        .uniform(SAMPLES * picture_side * picture_side * 3);
    MemorySet {
        samples: SAMPLES,
        feature_shape,
        features: [features.clone(), features],
        latent_shape: LATENT,
        latents: stream
            .at(2)
            .normal(SAMPLES * LATENT.iter().product::<usize>()),
        picture_side,
        pictures: pictures.into_iter().map(|u| (u * 255.0) as u8).collect(),
        ..MemorySet::default()
    }
}
