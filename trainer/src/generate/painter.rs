//! Slots → picture: Stable Diffusion with slots in place of the text.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::NetsError;
use glass_nets::clip::{ClipTextModel, ClipTokenizer};
use glass_nets::schedulers::{FinalSigma, Scheduler, SchedulerChoice as Sampler, guide};
use glass_nets::unet::UNet2DConditionModel;
use glass_nets::unet::capture::Plain;
use glass_nets::vae::AutoencoderKl;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::SchedulerChoice;
use image::RgbImage;

/// How pictures are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Sampler.
    pub scheduler: SchedulerChoice,
    /// Steps.
    pub steps: usize,
    /// Classifier-free guidance; 1 switches it off.
    pub guidance_scale: f32,
    /// Side of the picture in pixels.
    pub size: usize,
    /// Seed of the initial latents.
    pub seed: u64,
}

/// Predicts noise or velocity of `[batch, channels, height, width]` at a timestep, given slots `[batch, slots, dim]`.
pub trait Denoiser {
    /// One call of the network.
    fn predict(&self, sample: Tensor<4>, timestep: f32, slots: Tensor<3>) -> Tensor<4>;
}

impl Denoiser for UNet2DConditionModel {
    fn predict(&self, sample: Tensor<4>, timestep: f32, slots: Tensor<3>) -> Tensor<4> {
        self.forward(sample, &[timestep], slots, &mut Plain)
    }
}

/// The frozen parts of a Stable Diffusion checkpoint and a network that takes slots.
pub struct Painter {
    unet: Box<dyn Denoiser>,
    vae: AutoencoderKl,
    scheduler: Scheduler,
    text: Option<(ClipTokenizer, ClipTextModel)>,
    device: Device,
}

impl Painter {
    /// Loads autoencoder and scheduler of a checkpoint in the layout of diffusers; the text encoder too where
    /// guidance needs the empty prompt.
    ///
    /// # Errors
    /// Where a file is missing or damaged.
    pub fn load(
        folder: &Path,
        unet: Box<dyn Denoiser>,
        sampling: &Sampling,
        device: &Device,
    ) -> Result<Self, NetsError> {
        let text = if guided(sampling) {
            let tokenizer = ClipTokenizer::load(folder.join("tokenizer"))?;
            Some((tokenizer, ClipTextModel::load(folder.join("text_encoder"), device)?))
        } else {
            None
        };
        Ok(Self {
            unet,
            vae: AutoencoderKl::load(folder.join("vae"), device)?,
            scheduler: Scheduler::from_config(folder.join("scheduler"), sampler(sampling.scheduler))?.deterministic()?,
            text,
            device: device.clone(),
        })
    }

    /// Draws a picture for each of the slot sets `[batch, slots, dim]`; `subjects` name the pictures, one each, and
    /// with the seed decide their initial noise: a picture does not depend on its neighbours in the batch.
    ///
    /// # Errors
    /// Where the number of steps leads outside the noise schedule, or the empty prompt cannot be encoded.
    pub fn draw(
        &self,
        slots: Tensor<3>,
        subjects: &[&str],
        sampling: &Sampling,
    ) -> Result<Vec<RgbImage>, NetsError> {
        let context = match self.empty_prompt(slots.dims()[1])? {
            Some(empty) => Tensor::cat(vec![empty.repeat_dim(0, subjects.len()), slots], 0),
            None => slots,
        };
        let latents = self.sample(self.noise(subjects, sampling), context, sampling)?;
        let pictures = self.vae.decode(latents / self.vae.scaling_factor());
        Ok(to_pictures(pictures))
    }

    fn sample(
        &self,
        noise: Tensor<4>,
        context: Tensor<3>,
        sampling: &Sampling,
    ) -> Result<Tensor<4>, NetsError> {
        let guided = context.dims()[0] == 2 * noise.dims()[0];
        let trajectory = self.scheduler.trajectory(sampling.steps)?;
        Ok(trajectory.run(noise, |latents, timestep| {
            if guided {
                let output = self.unet.predict(latents.repeat_dim(0, 2), timestep, context.clone());
                guide(output, sampling.guidance_scale)
            } else {
                self.unet.predict(latents, timestep, context.clone())
            }
        }))
    }

    /// The encoded empty prompt, padded to as many tokens as there are slots, `[1, slots, dim]`: what diffusers makes
    /// of prompt embeddings without a negative prompt, and so what the GLASS release guides away from.
    fn empty_prompt(&self, slots: usize) -> Result<Option<Tensor<3>>, NetsError> {
        let Some((tokenizer, model)) = &self.text else { return Ok(None) };
        // Start and end need two places; fewer slots take the first ones.
        let tokenizer = tokenizer.clone().with_max_length(slots);
        let states = model.encode(&[tokenizer.encode("")?])?;
        Ok(Some(states.narrow(1, 0, slots)))
    }

    fn noise(&self, subjects: &[&str], sampling: &Sampling) -> Tensor<4> {
        let side = sampling.size / self.vae.downscale();
        let shape = [subjects.len(), self.vae.latent_channels(), side, side];
        let each = shape[1] * side * side;
        let draw = |subject: &&str| Stream::new(sampling.seed, subject, Purpose::Latent).normal(each);
        let values: Vec<f32> = subjects.iter().flat_map(draw).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

fn guided(sampling: &Sampling) -> bool {
    (sampling.guidance_scale - 1.0).abs() > f32::EPSILON
}

fn sampler(choice: SchedulerChoice) -> Sampler {
    match choice {
        SchedulerChoice::Checkpoint => Sampler::Checkpoint,
        SchedulerChoice::Ddim => Sampler::Ddim,
        SchedulerChoice::Pndm => Sampler::Pndm,
        // Older diffusers, which the GLASS release ran with, stopped at the noise of timestep 0.
        SchedulerChoice::DpmSolver => Sampler::DpmSolver { final_sigma: FinalSigma::SigmaMin },
        SchedulerChoice::Euler => Sampler::Euler,
    }
}

/// `[batch, 3, height, width]` in [−1, 1] → bytes, rounded down as the release does.
fn to_pictures(pixels: Tensor<4>) -> Vec<RgbImage> {
    let [_, channels, height, width] = pixels.dims();
    let values = pixels.into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
    let byte = |value: f32| ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0) as u8;
    let plane = height * width;
    values
        .chunks_exact((channels * plane).max(1))
        .map(|picture| {
            RgbImage::from_fn(width as u32, height as u32, |x, y| {
                let at = y as usize * width + x as usize;
                image::Rgb(std::array::from_fn(|channel| byte(picture[channel * plane + at])))
            })
        })
        .collect()
}
