//! The image decoder: a pretrained UNet that reads slots where it read text.

use burn::module::{Module, ModuleMapper, Param, ParamGroup};
use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::schedulers::{Scheduler, SchedulerChoice};
use glass_nets::unet::UNet2DConditionModel;
use glass_nets::unet::capture::Plain;
use glass_schemas::seeds::Stream;
use glass_schemas::spec::trainer::{DiffusionDecoderSpec, UNetPart};

use crate::error::{Result, TrainerError};
use crate::layers::parameter_id;
use crate::losses::mean_square;

/// The network that slots condition.
pub type UNet = UNet2DConditionModel;

/// A UNet with the noise schedule it was trained with.
#[derive(Debug, Clone)]
pub struct DiffusionDecoder {
    /// The network.
    pub unet: UNet,
    /// Its noise schedule and what it predicts.
    pub scheduler: Scheduler,
    /// Its `config.json`, to be saved beside trained weights.
    pub config: serde_json::Value,
}

impl DiffusionDecoder {
    /// Loads the UNet and the scheduler of a Stable Diffusion checkpoint, frozen.
    ///
    /// # Errors
    /// [`TrainerError::Nets`]; [`TrainerError::File`].
    pub fn load(spec: &DiffusionDecoderSpec, device: &Device) -> Result<Self> {
        let folder = spec.weights.join("unet");
        let path = folder.join("config.json");
        let text = std::fs::read(&path).map_err(TrainerError::file(&path))?;
        let config = serde_json::from_slice(&text)
            .map_err(|error| TrainerError::state(&format!("`{}`", path.display()), error))?;
        let unet = UNet::load(folder, device)?;
        let scheduler =
            Scheduler::from_config(spec.weights.join("scheduler"), SchedulerChoice::Checkpoint)?;
        Ok(Self {
            // Ids by path, so that a saved optimiser state finds its parameters again.
            unet: unet.map(&mut IdsByPath { path: Vec::new() }).no_grad(),
            scheduler,
            config,
        })
    }

    /// With these parameters trained and the others frozen.
    pub fn trained(mut self, part: Option<UNetPart>) -> Self {
        let frozen = self.unet.no_grad();
        self.unet = match part {
            None => frozen,
            Some(UNetPart::All) => frozen.set_require_grad(true),
            Some(UNetPart::Attn2) => {
                frozen.set_require_grad_group(ParamGroup::from_predicate("attn2"), true)
            }
        };
        self
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
        let noise: Vec<f32> = noise
            .iter()
            .flat_map(|stream| stream.normal(size))
            .collect();
        let noise = Tensor::from_data(TensorData::new(noise, shape), &clean.device());
        let noisy = schedule.add_noise(clean.clone(), noise.clone(), &timesteps)?;
        let target = schedule.target(clean, noise, &timesteps)?;
        let times: Vec<f32> = timesteps.iter().map(|&t| t as f32).collect();
        let predicted = self.unet.forward(noisy, &times, slots, &mut Plain);
        Ok(mean_square(predicted, target))
    }
}

struct IdsByPath {
    path: Vec<String>,
}

impl ModuleMapper for IdsByPath {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = parameter_id(&format!("unet.{}", self.path.join(".")));
        Param::initialized(id, param.into_value())
    }
}
