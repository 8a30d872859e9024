//! Pictures from slots by denoising: a UNet that slots condition, its autoencoder and a sampler.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::NetsError;
use glass_nets::clip::{ClipTextModel, ClipTokenizer};
use glass_nets::schedulers::{FinalSigma, Scheduler, SchedulerChoice as Sampler, guide};
use glass_nets::unet::capture::Plain;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::SchedulerChoice;

use super::diffusion::UNet;
use super::latents::LatentSpace;
use super::painter::{Painter, Rounding, Sampling};
use crate::error::{Result, TrainerError};

/// What guidance guides away from.
pub struct EmptyPrompt {
    tokenizer: ClipTokenizer,
    model: ClipTextModel,
}

impl EmptyPrompt {
    /// Loads the text encoder of a Stable Diffusion checkpoint.
    ///
    /// # Errors
    /// Where a file is missing or damaged.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        Ok(Self {
            tokenizer: ClipTokenizer::load(folder.join("tokenizer"))?,
            model: ClipTextModel::load(folder.join("text_encoder"), device)?,
        })
    }

    /// The encoded empty prompt, padded to as many tokens as there are slots, `[1, slots, dim]`: what diffusers makes
    /// of prompt embeddings without a negative prompt, and so what the GLASS release guides away from.
    fn states(&self, slots: usize) -> Result<Tensor<3>, NetsError> {
        // Start and end need two places; fewer slots take the first ones.
        let tokenizer = self.tokenizer.clone().with_max_length(slots);
        let states = self.model.encode(&[tokenizer.encode("")?])?;
        Ok(states.narrow(1, 0, slots))
    }
}

/// Draws by denoising.
pub struct DiffusionPainter {
    /// The network that slots condition.
    pub unet: UNet,
    /// The sampler.
    pub scheduler: Scheduler,
    /// The autoencoder of the latents.
    pub latents: LatentSpace,
    /// What guidance guides away from; none where there is no guidance.
    pub empty: Option<EmptyPrompt>,
    /// How the method writes its pictures.
    pub rounding: Rounding,
    /// Where it computes.
    pub device: Device,
}

impl Painter for DiffusionPainter {
    fn paint(&self, slots: Tensor<3>, subjects: &[&str], sampling: &Sampling) -> Result<Tensor<4>, NetsError> {
        let latents = self.denoise(self.noise(subjects, sampling), slots, sampling)?;
        Ok(self.latents.decode(latents))
    }

    fn rounding(&self) -> Rounding {
        self.rounding
    }
}

impl DiffusionPainter {
    /// Without guidance, bytes rounded to the nearest.
    pub fn new(unet: UNet, scheduler: Scheduler, latents: LatentSpace, device: &Device) -> Self {
        Self { unet, scheduler, latents, empty: None, rounding: Rounding::Nearest, device: device.clone() }
    }

    /// Scaled latents from noise `[batch, channels, height, width]` of unit variance.
    ///
    /// # Errors
    /// Where the number of steps leads outside the noise schedule, or the empty prompt cannot be encoded.
    pub fn denoise(&self, noise: Tensor<4>, slots: Tensor<3>, sampling: &Sampling) -> Result<Tensor<4>, NetsError> {
        let [batch, count, _] = slots.dims();
        let context = match &self.empty {
            Some(empty) => Tensor::cat(vec![empty.states(count)?.repeat_dim(0, batch), slots], 0),
            None => slots,
        };
        let predict = |latents: Tensor<4>, timestep: f32| {
            let input = match self.empty {
                Some(_) => latents.repeat_dim(0, 2),
                None => latents,
            };
            let output = self.unet.forward(input, &[timestep], context.clone(), &mut Plain);
            match self.empty {
                Some(_) => guide(output, sampling.guidance_scale),
                None => output,
            }
        };
        let trajectory = self.scheduler.trajectory(sampling.steps)?;
        Ok(match self.latents.nearest() {
            Some(nearest) => trajectory.run_correcting(noise, predict, &nearest),
            None => trajectory.run(noise, predict),
        })
    }

    fn noise(&self, subjects: &[&str], sampling: &Sampling) -> Tensor<4> {
        let side = sampling.size / self.latents.downscale();
        let shape = [subjects.len(), self.latents.channels(), side, side];
        let each = shape[1] * side * side;
        let draw = |subject: &&str| Stream::new(sampling.seed, subject, Purpose::Latent).normal(each);
        let values: Vec<f32> = subjects.iter().flat_map(draw).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }
}

/// The sampler that is asked for, with the noise schedule in a folder.
///
/// # Errors
/// Where the file cannot be read, or its sampler draws noise at every step.
pub fn scheduler(folder: &Path, choice: SchedulerChoice) -> Result<Scheduler> {
    let choice = match choice {
        SchedulerChoice::Checkpoint => Sampler::Checkpoint,
        SchedulerChoice::Ddim => Sampler::Ddim,
        SchedulerChoice::Pndm => Sampler::Pndm,
        // Older diffusers, which the GLASS release ran with, stopped at the noise of timestep 0.
        SchedulerChoice::DpmSolver => Sampler::DpmSolver { final_sigma: FinalSigma::SigmaMin },
        SchedulerChoice::DpmSolverSinglestep => Sampler::DpmSolverSinglestep,
        SchedulerChoice::Euler => Sampler::Euler,
    };
    Ok(Scheduler::from_config(folder.join("scheduler"), choice)?.deterministic()?)
}

/// Whether guidance is asked for.
pub fn is_guided(sampling: &Sampling) -> bool {
    (sampling.guidance_scale - 1.0).abs() > f32::EPSILON
}

/// Refuses guidance for a decoder that was never trained beside an empty prompt.
///
/// # Errors
/// [`TrainerError::Spec`].
pub fn refuse_guidance(sampling: &Sampling) -> Result<()> {
    match is_guided(sampling) {
        false => Ok(()),
        true => Err(TrainerError::Spec {
            field: "guidance_scale",
            message: format!(
                "is {}, but this decoder was not trained beside an empty context: write `1.0`",
                sampling.guidance_scale
            ),
        }),
    }
}
