//! `trainer autoencoder`: trains the autoencoder that a latent diffusion decoder works on.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use burn::tensor::{Device, Tensor};
use glass_nets::image::{Filter, ImageProcessor, Resize, RgbImage, decode};
use glass_nets::perceptual::Perceptual;
use glass_nets::vqvae::VqVaeConfig;
use glass_stage::{Context, ExitStatus, Explain};
use image::imageops::flip_horizontal_in_place;

use super::JsonArgs;
use super::options::explained;
use crate::autoencoder::{Losses, Training, learning_rate};
use crate::data::{Order, Side, Visit};

/// Train the autoencoder that a latent diffusion decoder works on (SlotDiffusion's VQ-VAE)
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Example:
  trainer autoencoder --config vqvae --images assets/scenes/train --out trained-vqvae --steps 1000 --json")]
pub struct AutoencoderArgs {
    /// Folder with the network's `config.json` (diffusers' `VQModel`)
    #[arg(long, value_name = "DIR")]
    pub config: PathBuf,
    /// Folder of pictures, PNG or JPEG
    #[arg(long, value_name = "DIR")]
    pub images: PathBuf,
    /// Folder of the trained network; a training that is there goes on
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Optimiser steps
    #[arg(long, value_name = "N")]
    pub steps: u64,
    /// Pictures in a batch
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub batch: usize,
    /// Side of the pictures in pixels [default: the configuration's `sample_size`]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// Highest learning rate; it rises over a twentieth of the steps and falls along half a cosine
    #[arg(long, default_value_t = 1e-3, value_name = "RATE")]
    pub rate: f64,
    /// File of LPIPS's network, for the perceptual term; without it the loss is the squared error
    #[arg(long, value_name = "FILE")]
    pub lpips: Option<PathBuf>,
    /// File of LPIPS's heads, where the network's file has none
    #[arg(long, value_name = "FILE", requires = "lpips")]
    pub lpips_heads: Option<PathBuf>,
    /// Seed of weights and order
    #[arg(long, default_value_t = 1111, value_name = "N")]
    pub seed: u64,
    /// Steps between saves; it is saved at the end and when stopped
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub save_every: u64,
    /// Steps between lines of losses
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub log_every: u64,
    /// Where to compute: flex, cuda …
    #[arg(long, default_value = "flex", value_name = "BACKEND")]
    pub device: String,
    /// How to answer
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Trains, or goes on where an earlier call stopped.
///
/// # Errors
/// The user's: a configuration, a picture or weights that cannot be read.
pub async fn autoencoder(args: AutoencoderArgs, context: Context) -> anyhow::Result<ExitStatus> {
    tokio::task::spawn_blocking(move || run(&args, &context)).await?
}

fn run(args: &AutoencoderArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let config = VqVaeConfig::read(&args.config).blame_user()?;
    let device = args.device.parse::<glass_nets::Backend>()?.device()?.autodiff();
    let perceptual = match &args.lpips {
        Some(path) => Some(Perceptual::load(path, args.lpips_heads.as_deref(), &device).blame_user()?),
        None => None,
    };
    let pictures = Pictures::list(args, &config)?;
    let training = explained(Training::new(&config, perceptual, args.seed, &device))?;
    let mut training = training
        .resume(&args.out, args.seed, args.steps)
        .blame_user()
        .hint("give another --out, or the seed and steps it was begun with")?;
    let mut order = Order::new(args.seed, pictures.paths.len(), 0.5);
    let save = |training: &Training| training.save(&args.out, &args.config, args.seed, args.steps);
    while training.step < args.steps {
        if context.stop.is_set() {
            save(&training)?;
            return Ok(ExitStatus::Interrupted);
        }
        let visits = order.visits(training.step * args.batch as u64, args.batch);
        let batch = pictures.batch(&visits, &device)?;
        let rate = learning_rate(args.rate, training.step, args.steps);
        let losses = explained(training.step(batch, rate))?;
        report(&training, losses, args.log_every);
        if args.save_every > 0 && training.step % args.save_every == 0 {
            save(&training)?;
        }
    }
    save(&training)?;
    args.json.name("folder", args.out.display())?;
    Ok(ExitStatus::Done)
}

fn report(training: &Training, losses: Losses, every: u64) {
    if every > 0 && training.step.is_multiple_of(every) {
        tracing::info!(
            step = training.step,
            reconstruction = losses.reconstruction,
            quantisation = losses.quantisation,
            perceptual = losses.perceptual,
            codes = losses.codes,
            "autoencoder"
        );
    }
}

/// The pictures of a folder, read when they are visited.
struct Pictures {
    paths: Vec<PathBuf>,
    processor: ImageProcessor,
}

impl Pictures {
    fn list(args: &AutoencoderArgs, config: &VqVaeConfig) -> anyhow::Result<Self> {
        let side = args.image_size.unwrap_or(config.convolutions.sample_size as u32);
        let downscale = 1_u32 << (config.convolutions.block_out_channels.len() - 1);
        if side == 0 || !side.is_multiple_of(downscale) || args.batch == 0 {
            return Err(anyhow::anyhow!(
                "pictures of {side} pixels do not divide by {downscale}, or the batch of {} is empty",
                args.batch
            ))
            .blame_user()
            .hint("choose another --image-size or --batch");
        }
        let mut paths =
            files(&args.images).with_context(|| format!("`{}` cannot be read", args.images.display())).blame_user()?;
        paths.sort();
        if paths.is_empty() {
            return Err(anyhow::anyhow!("`{}` holds no picture", args.images.display()))
                .blame_user()
                .hint("--images takes a folder of PNG or JPEG files");
        }
        Ok(Self {
            paths,
            // The shorter side, then the square in the middle.
            processor: ImageProcessor {
                resize: Some((Resize::ShortestEdge(side), Filter::Bilinear)),
                crop: Some((side, side)),
                rescale: 1.0 / 255.0,
                mean: [0.5; 3],
                std: [0.5; 3],
            },
        })
    }

    /// `[visits, 3, side, side]` in [−1, 1].
    fn batch(&self, visits: &[Visit], device: &Device) -> anyhow::Result<Tensor<4>> {
        let pictures = visits.iter().map(|visit| self.picture(visit));
        let pictures: Vec<RgbImage> = pictures.collect::<anyhow::Result<_>>()?;
        Ok(self.processor.batch(&pictures, device)?)
    }

    fn picture(&self, visit: &Visit) -> anyhow::Result<RgbImage> {
        let path = &self.paths[visit.sample];
        let read = || anyhow::Ok(decode(&std::fs::read(path)?)?);
        let mut picture = read().with_context(|| format!("`{}` is no picture", path.display())).blame_user()?;
        if visit.side == Side::Mirrored {
            flip_horizontal_in_place(&mut picture);
        }
        Ok(picture)
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        let known = ending.is_some_and(|ending| ["png", "jpg", "jpeg"].iter().any(|k| ending == *k));
        if known && path.is_file() {
            paths.push(path);
        }
    }
    Ok(paths)
}
