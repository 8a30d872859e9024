//! Pictures from slots by the samplers of SlotDiffusion and Latent Slot Diffusion agree with PyTorch
//! (`ci/reference/painting.py`), given the same noise.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use glass_nets::Weights;
use glass_nets::schedulers::Scheduler;
use glass_nets::unet::capture::Plain;
use glass_nets::unet::{Dropping, UNet2DConditionModel, UNetConfig};
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::SchedulerChoice;
use glass_schemas::spec::trainer::{AutoencoderKind, BroadcastDecoderSpec, TrainerSpec};
use glass_trainer::decoders::{
    BroadcastDecoderConfig, DiffusionDecoder, DiffusionPainter, LatentSpace, Painter, Sampling, StreamDropout,
    scheduler,
};
use glass_trainer::layers::Initial;

use crate::pixels::{numbers, small_unet, weights};
use crate::support::named;

/// Twenty calls of a small UNet in f32; what is quantised on the way is exact again.
const TOLERANCE: f32 = 1e-4;

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens/pixels")
}

fn input<const D: usize>(name: &str, shape: [usize; D], scale: f32) -> Tensor<D> {
    let numbers = numbers(name, shape.iter().product());
    Tensor::from_data(burn::tensor::TensorData::new(numbers, shape), &Device::flex()) * scale
}

fn close(golden: &str, name: &str, found: Tensor<4>) {
    let tensors = named(&goldens().join(golden));
    let (shape, expected) = &tensors[name];
    assert_eq!(&found.dims().to_vec(), shape, "{name}");
    let found: Vec<f32> = found.into_data().try_to_vec().unwrap();
    let scale = expected.iter().fold(0f32, |m, x| m.max(x.abs()));
    let worst = found.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    println!("agreement | {golden} | {name} | {:.1e}", worst / scale);
    assert!(worst <= TOLERANCE * scale, "{name}: off by {worst:.1e} of {scale:.1e}");
}

fn sampling(scheduler: SchedulerChoice, steps: usize) -> Sampling {
    Sampling { scheduler, steps, guidance_scale: 1.0, size: 16, seed: 1 }
}

/// The small UNet of a method with the reference's weights, and its sampler.
fn parts(method: &str, choice: SchedulerChoice) -> (UNet2DConditionModel, Scheduler) {
    let folder = tempfile::tempdir().unwrap();
    let spec = small_unet(folder.path(), method);
    let source = Weights::drawn(Box::new(|name, shape, _| weights(&format!("image.{name}"), shape)));
    let config = UNetConfig::read(spec.config.join("unet")).unwrap();
    let unet = UNet2DConditionModel::from_scope(&source.root(&Device::flex()), &config).unwrap();
    (unet, scheduler(&spec.config, choice).unwrap())
}

fn painter(method: &str, choice: SchedulerChoice, kind: AutoencoderKind, folder: &str) -> DiffusionPainter {
    let (unet, scheduler) = parts(method, choice);
    let latents = LatentSpace::load(kind, &goldens().join(folder), &Device::flex()).unwrap();
    DiffusionPainter::new(unet, scheduler, latents, &Device::flex())
}

#[test]
fn slot_diffusion_draws_what_pytorch_draws() {
    let (golden, choice) = ("painted-slot-diffusion.safetensors", SchedulerChoice::DpmSolverSinglestep);
    let (slots, noise) = (input("paint.slots", [2, 3, 6], 1.0), input("paint.noise.3", [2, 3, 8, 8], 3f32.sqrt()));
    let painter = painter("slot-diffusion", choice, AutoencoderKind::Vq, "vq");
    let latents = painter.denoise(noise.clone(), slots.clone(), &sampling(choice, 20)).unwrap();
    close(golden, "latents", latents.clone());
    close(golden, "picture", painter.latents.decode(latents));
    // The sampler alone, with every way to end.
    for calls in [6, 7, 20] {
        let trajectory = painter.scheduler.trajectory(calls).unwrap();
        assert_eq!(trajectory.timesteps().len(), calls);
        let found = trajectory
            .run(noise.clone(), |x, timestep| painter.unet.forward(x, &[timestep], slots.clone(), &mut Plain));
        close(golden, &format!("unquantised.{calls}"), found);
    }
}

#[test]
fn latent_slot_diffusion_draws_what_pytorch_draws() {
    let (golden, choice) = ("painted-lsd-scratch.safetensors", SchedulerChoice::DpmSolver);
    let (slots, noise) = (input("paint.slots", [2, 3, 6], 1.0), input("paint.noise.3", [2, 3, 8, 8], 3f32.sqrt()));
    let painter = painter("lsd", choice, AutoencoderKind::Kl, "kl");
    let latents = painter.denoise(noise, slots, &sampling(choice, 25)).unwrap();
    close(golden, "latents", latents.clone());
    close(golden, "picture", painter.latents.decode(latents));
}

#[test]
fn what_a_codebook_allows_stays_as_it_is() {
    let latents = LatentSpace::load(AutoencoderKind::Vq, &goldens().join("vq"), &Device::flex()).unwrap();
    let nearest = latents.nearest().unwrap();
    let numbers = |x: Tensor<4>| x.into_data().try_to_vec::<f32>().unwrap();
    let once = nearest(input("any", [1, 3, 4, 4], 5.0));
    let (once, twice) = (numbers(once.clone()), numbers(nearest(once)));
    // A code is reached by a difference, and so up to its rounding.
    assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() < 1e-6), "{once:?} {twice:?}");
}

#[test]
fn a_broadcast_decoder_draws_from_slots_alone() {
    let spec = TrainerSpec {
        broadcast: BroadcastDecoderSpec { channels: 4, layers: 2, kernel: 3, image_size: 16 },
        ..TrainerSpec::default()
    };
    let config = BroadcastDecoderConfig { slot_size: 6, ..BroadcastDecoderConfig::new(&spec) };
    let decoder = config.init(&Initial::new(3, &Device::flex()));
    let slots = input("paint.slots", [2, 3, 6], 1.0);
    let draw = |slots: Tensor<3>, subjects: &[&str], seed| {
        decoder.draw(slots, subjects, &Sampling { seed, ..sampling(SchedulerChoice::Ddim, 5) }).unwrap()
    };
    let pictures = draw(slots.clone(), &["a", "b"], 1);
    assert_eq!(pictures, draw(slots.clone(), &["c", "d"], 2));
    assert_eq!(pictures[1], draw(slots.clone().narrow(0, 1, 1), &["b"], 1)[0]);
    assert_ne!(pictures[0], pictures[1]);
    // A slot less is another picture of the same size.
    let fewer = draw(slots.narrow(1, 0, 2), &["a", "b"], 1);
    assert_eq!((fewer[0].dimensions(), fewer[0] != pictures[0]), ((16, 16), true));
}

#[test]
fn masks_of_dropout_belong_to_the_sample_and_not_to_its_batch() {
    let ones = |batch| Tensor::<4>::ones([batch, 2, 8, 8], &Device::flex());
    let streams: Vec<Stream> = (0..3).map(|sample| Stream::new(7, sample, Purpose::Dropout)).collect();
    let drop = |streams: &[Stream]| {
        let mut dropping = StreamDropout::new(streams, 0.25);
        let (first, second) = (dropping.drop(ones(streams.len())), dropping.drop(ones(streams.len())));
        let numbers = |x: Tensor<4>| x.into_data().try_to_vec::<f32>().unwrap();
        (numbers(first), numbers(second))
    };
    let (together, next) = drop(&streams);
    assert_eq!(together[256..], drop(&streams[2..]).0);
    assert_ne!(together[..128], together[128..256], "samples share no mask");
    assert_ne!(together, next, "blocks share no mask");
    assert!(together.iter().all(|&x| x == 0.0 || x == 4.0 / 3.0));
    let lost = together.iter().chain(&next).filter(|x| **x == 0.0).count() as f64 / 768.0;
    // Three standard deviations of a share of a quarter of 768.
    assert!((lost - 0.25).abs() < 0.05, "{lost}");
}

#[test]
fn only_training_drops() {
    let folder = tempfile::tempdir().unwrap();
    let spec = small_unet(folder.path(), "slot-diffusion");
    let decoder = DiffusionDecoder::scratch(&spec, 3, &Device::flex()).unwrap();
    assert_eq!(decoder.unet.dropout(), 0.1);
    let (clean, slots) = (input("clean", [2, 3, 8, 8], 1.0), input("paint.slots", [2, 3, 6], 1.0));
    let streams = |purpose| [0, 1].map(|sample| Stream::new(1, sample, purpose));
    let loss = |dropped: u64| -> f32 {
        let masks = [0, 1].map(|sample| Stream::new(dropped, sample, Purpose::Dropout));
        let (times, noise) = (streams(Purpose::Timestep), streams(Purpose::Noise));
        let loss = decoder.loss(clean.clone(), slots.clone(), &times, &noise, &masks).unwrap();
        loss.into_data().try_to_vec::<f32>().unwrap()[0]
    };
    assert_eq!(loss(1), loss(1));
    let evaluated = || {
        let predicted = decoder.unet.forward(clean.clone(), &[5.0], slots.clone(), &mut Plain);
        predicted.into_data().try_to_vec::<f32>().unwrap()
    };
    assert_eq!(evaluated(), evaluated());
}
