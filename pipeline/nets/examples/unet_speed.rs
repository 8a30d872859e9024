//! Milliseconds of one UNet call: `RAYON_NUM_THREADS=1 cargo run --release -p glass-nets --example unet_speed -- FOLDER [BATCH] [plain|capture|train|frozen]`.
//!
//! `capture` keeps cross-attention of 8x8 and self-attention of 16x16 of the second half of the batch;
//! `train` adds the gradients of all parameters, `frozen` those of the context only. Compare with
//! `ci/bench/unet.py`.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use glass_nets::unet::capture::{Attention, Capture, CaptureOptions, ClassContext, ClassPrompt, Division, Plain};
use glass_nets::unet::{UNet2DConditionModel, UNetConfig};

const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tune_allocator();
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "assets/mini/stable-diffusion/unet".to_owned());
    let batch: usize = arguments.next().map_or(Ok(32), |n| n.parse())?;
    let mode = arguments.next().unwrap_or_else(|| "plain".to_owned());
    let device = if matches!(mode.as_str(), "train" | "frozen") { Device::flex().autodiff() } else { Device::flex() };
    let config = UNetConfig::read(&folder)?;
    let mut unet = UNet2DConditionModel::load(&folder, &device)?;
    if mode == "frozen" {
        unet = unet.no_grad();
    }
    let side = config.sample_size.unwrap_or(16);
    let width = config.levels.first().map_or(128, |level| level.context);
    let normal = Distribution::Normal(0.0, 1.0);
    let sample = Tensor::<4>::random([batch, config.in_channels, side, side], normal, &device);
    let context = Tensor::<3>::random([batch, 77, width], normal, &device);
    let samples = batch / 2;
    let classes = ClassContext {
        prompts: (0..samples).map(|sample| ClassPrompt { sample, positions: vec![vec![5]] }).collect(),
        states: context.clone().narrow(0, 0, samples.max(1)),
    };
    let options = CaptureOptions { cross: vec![8], self_attention: vec![16], division: Division::EvenOdd };
    let mut attention: Box<dyn Attention> = match mode.as_str() {
        "capture" => Box::new(Capture::new(options, samples, Some(classes))?),
        _ => Box::new(Plain),
    };
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let context = if device.is_autodiff() { context.clone().require_grad() } else { context.clone() };
        let output = unet.forward(sample.clone(), &[500.0], context, attention.as_mut());
        if device.is_autodiff() {
            std::hint::black_box(output.powi_scalar(2).mean().backward());
        } else {
            std::hint::black_box(output.into_data());
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{mode} batch {batch}: best {:.1} ms, median {:.1} ms", times[0], times[ROUNDS / 2]);
    Ok(())
}

/// Keeps freed blocks: returning large ones to the system costs a page fault for every 4 KiB next time.
fn tune_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets limits of the allocator; nothing else runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, i32::MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
