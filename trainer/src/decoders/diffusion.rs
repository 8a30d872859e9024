//! The image decoder: a pretrained UNet that reads slots where it read text.

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::schedulers::{Scheduler, SchedulerChoice};
use glass_nets::unet::UNet2DConditionModel;
use glass_nets::unet::capture::Plain;
use glass_schemas::seeds::Stream;
use glass_schemas::spec::trainer::DiffusionDecoderSpec;

use crate::error::Result;
use crate::losses::mean_square;

/// The network of the image decoder.
pub type UNet = UNet2DConditionModel;

/// A UNet with the noise schedule it was trained with.
#[derive(Debug, Clone)]
pub struct DiffusionDecoder {
    /// The network.
    pub unet: UNet,
    /// Its noise schedule and what it predicts.
    pub scheduler: Scheduler,
}

impl DiffusionDecoder {
    /// Loads UNet and scheduler of a checkpoint in the layout of diffusers.
    ///
    /// # Errors
    /// Where a file is missing or damaged.
    pub fn load(spec: &DiffusionDecoderSpec, device: &Device) -> Result<Self> {
        Ok(Self {
            unet: UNet::load(spec.weights.join("unet"), device)?,
            scheduler: Scheduler::from_config(
                spec.weights.join("scheduler"),
                SchedulerChoice::Checkpoint,
            )?,
        })
    }

    /// The denoising loss `mean (target − unet(x_t, t, slots))²` with one uniform timestep and one
    /// noise a sample; the target is the noise or the velocity, as the checkpoint says.
    ///
    /// `clean [batch, channels, height, width]` is scaled; `slots [batch, slots, context]`.
    ///
    /// # Errors
    /// Where the schedule does not have the drawn timesteps.
    pub fn loss(
        &self,
        clean: Tensor<4>,
        slots: Tensor<3>,
        timesteps: &[Stream],
        noise: &[Stream],
    ) -> Result<Tensor<1>> {
        let shape = clean.dims();
        let schedule = self.scheduler.noise();
        let steps = schedule.alphas_cumprod().len() as u64;
        let timesteps: Vec<usize> = timesteps
            .iter()
            .map(|stream| stream.below(0, steps) as usize)
            .collect();
        let size = shape[1] * shape[2] * shape[3];
        let noise: Vec<f32> = noise.iter().flat_map(|stream| stream.normal(size)).collect();
        let noise = Tensor::from_data(TensorData::new(noise, shape), &clean.device());
        let noisy = schedule.add_noise(clean.clone(), noise.clone(), &timesteps)?;
        let target = schedule.target(clean, noise, &timesteps)?;
        let times: Vec<f32> = timesteps.iter().map(|&t| t as f32).collect();
        let predicted = self.unet.forward(noisy, &times, slots, &mut Plain);
        Ok(mean_square(predicted, target))
    }
}
