//! The image decoder that denoises latents: a pretrained UNet that reads slots where it read text, or
//! one that is trained from nothing.

use std::path::Path;

use burn::module::{Module, ParamGroup};
use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::schedulers::{Scheduler, SchedulerChoice};
use glass_nets::unet::capture::Plain;
use glass_nets::unet::{Dropping, UNet2DConditionModel, UNetConfig};
use glass_nets::weights::Start;
use glass_schemas::seeds::{Purpose, Stream};
use glass_schemas::spec::trainer::{DiffusionDecoderSpec, LatentDiffusionSpec, OutputStart, UNetPart};

use super::dropout::StreamDropout;
use crate::checkpoint::{Named, unet_names};
use crate::data::Batch;
use crate::error::{Result, TrainerError};
use crate::layers::drawn;
use crate::losses::mean_square;
use crate::parts::{Group, Layout, Origin, with_ids_by_path};

/// How the UNet is saved.
const LAYOUT: Layout = Layout::plain(
    Group::Unet,
    Origin::Pretrained,
    "unet2dconditionmodel/diffusion_pytorch_model.safetensors",
    unet_names,
);

/// The scope of initial weights.
const SCOPE: &str = "image";

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
    /// Where its weights come from.
    pub origin: Origin,
}

/// What became of a batch's latents.
#[derive(Debug, Clone)]
pub struct Denoised {
    /// Mean square error of the prediction.
    pub loss: Tensor<1>,
    /// What the network predicted, of the latents' shape.
    pub predicted: Tensor<4>,
}

impl DiffusionDecoder {
    /// Loads the UNet and the scheduler of a Stable Diffusion checkpoint, frozen.
    ///
    /// # Errors
    /// [`TrainerError::Nets`]; [`TrainerError::File`].
    pub fn load(spec: &DiffusionDecoderSpec, device: &Device) -> Result<Self> {
        let folder = spec.weights.join("unet");
        let config = document(&folder)?;
        let unet = UNet::load(folder, device)?;
        Ok(Self {
            // Ids by path, so that a saved optimiser state finds its parameters again.
            unet: with_ids_by_path(unet, "unet").no_grad(),
            scheduler: scheduler(&spec.weights)?,
            config,
            origin: Origin::Pretrained,
        })
    }

    /// A UNet that others trained on slots, frozen, with the scheduler in `frozen`.
    ///
    /// # Errors
    /// As [`DiffusionDecoder::load`].
    pub fn published(unet: &Path, frozen: &Path, origin: Origin, device: &Device) -> Result<Self> {
        Ok(Self {
            unet: UNet::load(unet, device)?.no_grad(),
            scheduler: scheduler(frozen)?,
            config: document(unet)?,
            origin,
        })
    }

    /// A UNet with initial weights, trained whatever the phase.
    ///
    /// # Errors
    /// Where its configurations cannot be read.
    pub fn scratch(spec: &LatentDiffusionSpec, seed: u64, device: &Device) -> Result<Self> {
        let folder = spec.config.join("unet");
        let outputs = spec.outputs;
        let weights = drawn(seed, SCOPE, move |name, _, default| match outputs {
            OutputStart::Zero if is_output(name) => Start::Constant(0.0),
            OutputStart::Zero | OutputStart::Drawn => default,
        });
        let unet = UNet::from_scope(&weights.root(device), &UNetConfig::read(&folder)?)?;
        let unet = with_ids_by_path(unet, SCOPE);
        Ok(Self {
            unet: match device.is_autodiff() {
                true => unet.set_require_grad(true),
                false => unet,
            },
            scheduler: scheduler(&spec.config)?,
            config: document(&folder)?,
            origin: Origin::Seed,
        })
    }

    /// With these parameters trained and the others frozen.
    pub fn trained(mut self, part: Option<UNetPart>) -> Self {
        let frozen = self.unet.no_grad();
        self.unet = match part {
            None => frozen,
            Some(UNetPart::All) => frozen.set_require_grad(true),
            Some(UNetPart::Attn2) => frozen.set_require_grad_group(ParamGroup::from_predicate("attn2"), true),
        };
        self
    }

    /// How its UNet is saved.
    pub fn layout(&self) -> Layout {
        let group = match self.origin {
            Origin::Seed => Group::Image,
            Origin::Pretrained => Group::Unet,
        };
        let layout = Layout { group, origin: self.origin, ..LAYOUT };
        match self.config["use_linear_projection"].as_bool() {
            Some(true) => layout,
            _ => Layout { publish: publish_projections, absorb: absorb_projections, ..layout },
        }
    }

    /// Its `config.json`.
    pub fn documents(&self) -> Vec<(&'static str, serde_json::Value)> {
        vec![("unet2dconditionmodel/config.json", self.config.clone())]
    }

    /// [`DiffusionDecoder::loss`] of a batch's latents with what is drawn for its samples.
    ///
    /// # Errors
    /// Where the batch has no latents, and as that loss.
    pub fn loss_of(&self, slots: Tensor<3>, batch: &Batch<'_>) -> Result<Tensor<1>> {
        let purposes = [Purpose::Timestep, Purpose::Noise, Purpose::Dropout];
        let [timesteps, noise, dropped] = purposes.map(|purpose| batch.streams(purpose));
        self.loss(batch.latents()?, slots, &timesteps, &noise, &dropped)
    }

    /// The denoising loss `mean (target − unet(x_t, t, slots))²` with one uniform timestep, one noise and
    /// the masks of dropout a sample; the target is the noise or the velocity, as the checkpoint says.
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
        dropped: &[Stream],
    ) -> Result<Tensor<1>> {
        let shape = clean.dims();
        let schedule = self.scheduler.noise();
        let steps = schedule.alphas_cumprod().len() as u64;
        let timesteps: Vec<usize> = timesteps.iter().map(|stream| stream.below(0, steps) as usize).collect();
        let size = shape[1] * shape[2] * shape[3];
        let noise: Vec<f32> = noise.iter().flat_map(|stream| stream.normal(size)).collect();
        let noise = Tensor::from_data(TensorData::new(noise, shape), &clean.device());
        let mut dropping = StreamDropout::new(dropped, self.unet.dropout());
        Ok(self.denoise(clean, slots, &timesteps, noise, &mut dropping)?.loss)
    }

    /// [`DiffusionDecoder::loss`] with given timesteps, noise `[batch, channels, height, width]` and dropout.
    ///
    /// # Errors
    /// Where the schedule does not have the timesteps.
    pub fn denoise(
        &self,
        clean: Tensor<4>,
        slots: Tensor<3>,
        timesteps: &[usize],
        noise: Tensor<4>,
        dropping: &mut dyn Dropping,
    ) -> Result<Denoised> {
        let schedule = self.scheduler.noise();
        let noisy = schedule.add_noise(clean.clone(), noise.clone(), timesteps)?;
        let target = schedule.target(clean, noise, timesteps)?;
        let times: Vec<f32> = timesteps.iter().map(|&t| t as f32).collect();
        let predicted = self.unet.forward_dropping(noisy, &times, slots, &mut Plain, dropping);
        Ok(Denoised { loss: mean_square(predicted.clone(), target), predicted })
    }
}

fn document(folder: &Path) -> Result<serde_json::Value> {
    let path = folder.join("config.json");
    let text = std::fs::read(&path).map_err(TrainerError::file(&path))?;
    serde_json::from_slice(&text).map_err(|error| TrainerError::state(&format!("`{}`", path.display()), error))
}

fn scheduler(folder: &Path) -> Result<Scheduler> {
    let folder = folder.join("scheduler");
    Ok(Scheduler::from_config(folder, SchedulerChoice::Checkpoint)?)
}

/// Whether a tensor belongs to the last layer of a residual block, of a transformer or of the network:
/// what latent diffusion's own code calls `zero_module`.
fn is_output(name: &str) -> bool {
    ["conv2", "proj_out", "conv_out"].iter().any(|layer| name.rsplit('.').nth(1) == Some(*layer))
}

/// Checkpoints without `use_linear_projection` keep the projections of a transformer as 1 × 1
/// convolutions, and so those of positions are kept; the numbers are the same.
fn publish_projections(unet: &mut Named, _: usize) {
    for (shape, _) in projections(unet) {
        shape.extend([1, 1]);
    }
}

fn absorb_projections(unet: &mut Named) {
    for (shape, _) in projections(unet) {
        shape.truncate(2);
    }
}

fn projections(unet: &mut Named) -> impl Iterator<Item = &mut (Vec<usize>, Vec<f32>)> {
    let named = unet.iter_mut();
    named.filter_map(|(name, value)| {
        let pointwise = ["proj_in.weight", "proj_out.weight", "pos_emb.1.projection.weight"];
        pointwise.iter().any(|ending| name.ends_with(ending)).then_some(value)
    })
}
