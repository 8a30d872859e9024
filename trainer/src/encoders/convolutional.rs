//! Convolutional encoders that are trained with the slots: SAVi's ResNet34 and LSD's UNet encoder.
//!
//! Their frozen part only normalises pixels; a row of states is a pixel.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use glass_nets::resnet34::{ResNet34, ResNet34Config};
use glass_nets::unet::{UNetEncoder, UNetEncoderConfig};
use glass_schemas::spec::trainer::{EncoderKind, EncoderSpec, NetworkStart};

use crate::checkpoint::{norm_names, unet_names};
use crate::error::{Result, TrainerError};
use crate::layers::drawn;
use crate::parts::{Group, Layout, Origin, with_ids_by_path};

/// The scope of its initial weights and parameter ids.
const SCOPE: &str = "encoder";

/// How a ResNet is saved: as timm names it.
const RESNET: Layout = Layout::plain(Group::Encoder, Origin::Seed, "encoder/model.safetensors", resnet_names);

/// How a UNet encoder is saved: the folder of the published checkpoints.
pub const UNET_LAYOUT: Layout =
    Layout::plain(Group::Encoder, Origin::Seed, "unetencoder/diffusion_pytorch_model.safetensors", unet_encoder_names);

/// A convolutional network from pixels to tokens.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a run has one")]
pub enum Convolutions {
    /// ResNet34 and its kind.
    ResNet(ResNet34),
    /// `UNetEncoder`.
    UNet(UNetEncoder),
}

impl Convolutions {
    /// Pictures `[batch, 3, height, width]` in [−1, 1] → `[batch, size, rows, columns]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ResNet(network) => network.forward(pictures),
            Self::UNet(network) => network.forward(pictures),
        }
    }

    /// Width of the features.
    pub fn width(&self) -> usize {
        match self {
            Self::ResNet(network) => network.width(),
            Self::UNet(network) => network.width(),
        }
    }
}

/// A trained convolutional encoder.
#[derive(Debug, Clone)]
pub struct ConvolutionalEncoder {
    /// The network.
    pub network: Convolutions,
    config: serde_json::Value,
    downscale: usize,
}

impl ConvolutionalEncoder {
    /// The network that the spec names, with published weights or from nothing; `device` may be without
    /// autodiff.
    ///
    /// # Errors
    /// Where its files cannot be read or do not belong together.
    pub fn load(spec: &EncoderSpec, seed: u64, device: &Device) -> Result<Self> {
        let folder = &spec.weights;
        let scratch = spec.start == NetworkStart::Scratch;
        let (network, downscale) = match spec.kind {
            EncoderKind::UnetEncoder => {
                let config = UNetEncoderConfig::read(folder)?;
                let network = match scratch {
                    true => {
                        let weights = drawn(seed, SCOPE, |_, _, default| default);
                        UNetEncoder::from_scope(&weights.root(device), &config)?
                    }
                    false => UNetEncoder::load(folder, device)?,
                };
                (Convolutions::UNet(network), config.downscale())
            }
            _ => {
                let config = ResNet34Config::read(folder)?;
                let network = match scratch {
                    true => {
                        let weights = drawn(seed, SCOPE, ResNet34::start);
                        ResNet34::from_scope(&weights.root(device), &config)?
                    }
                    false => ResNet34::load(folder, device)?,
                };
                (Convolutions::ResNet(network), config.downscale())
            }
        };
        let network = with_ids_by_path(network, SCOPE);
        Ok(Self {
            network: match device.is_autodiff() {
                true => network.set_require_grad(true).map(&mut FrozenStatistics::default()),
                false => network,
            },
            config: document(folder)?,
            downscale,
        })
    }

    /// `states [batch, height · width, 3]`, normalised pixels of a square → `[batch, tokens, size]`.
    pub fn forward(&self, states: Tensor<3>) -> Tensor<3> {
        let features = self.network.forward(pixels(states));
        let [batch, size, height, width] = features.dims();
        features.reshape([batch, size, height * width]).swap_dims(1, 2)
    }

    /// What methods without training see: the pixels of each token's square.
    pub fn untrained(&self, states: Tensor<3>) -> Tensor<3> {
        let pixels = pixels(states);
        let ([batch, channels, height, width], d) = (pixels.dims(), self.downscale);
        let (rows, columns) = (height.div_ceil(d), width.div_ceil(d));
        pixels.reshape([batch, channels, rows, d, columns, d]).permute([0, 2, 4, 1, 3, 5]).reshape([
            batch,
            rows * columns,
            channels * d * d,
        ])
    }

    /// Tokens and width of the features for states of a shape.
    pub fn feature_shape(&self, [pixels, _]: [usize; 2]) -> [usize; 2] {
        let side = pixels.isqrt().div_ceil(self.downscale);
        [side * side, self.network.width()]
    }

    /// How it is saved.
    pub fn layout(&self) -> Layout {
        match &self.network {
            Convolutions::ResNet(_) => RESNET,
            Convolutions::UNet(_) => UNET_LAYOUT,
        }
    }

    /// Its `config.json`, as it was read.
    pub fn documents(&self) -> Vec<(&'static str, serde_json::Value)> {
        let name = match &self.network {
            Convolutions::ResNet(_) => "encoder/config.json",
            Convolutions::UNet(_) => "unetencoder/config.json",
        };
        vec![(name, self.config.clone())]
    }

    /// Without autodiff.
    pub fn valid(&self) -> Self {
        Self { network: self.network.valid(), ..self.clone() }
    }
}

/// Pixels of a side for each token of the network that a spec names.
///
/// # Errors
/// Where its configuration cannot be read.
pub fn downscale(spec: &EncoderSpec) -> Result<usize> {
    Ok(match spec.kind {
        EncoderKind::UnetEncoder => UNetEncoderConfig::read(&spec.weights)?.downscale(),
        _ => ResNet34Config::read(&spec.weights)?.downscale(),
    })
}

/// `[batch, side², 3]` → `[batch, 3, side, side]`
fn pixels(states: Tensor<3>) -> Tensor<4> {
    let [batch, pixels, channels] = states.dims();
    let side = pixels.isqrt();
    states.swap_dims(1, 2).reshape([batch, channels, side, side])
}

fn document(folder: &Path) -> Result<serde_json::Value> {
    let path = folder.join("config.json");
    if !path.exists() {
        return Ok(serde_json::json!({ "architecture": "resnet34" }));
    }
    let text = std::fs::read(&path).map_err(TrainerError::file(&path))?;
    serde_json::from_slice(&text).map_err(|error| TrainerError::state(&format!("`{}`", path.display()), error))
}

/// The statistics of batch norms are no parameters.
#[derive(Default)]
struct FrozenStatistics {
    path: Vec<String>,
}

impl ModuleMapper for FrozenStatistics {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.path.last().is_some_and(|name| name.starts_with("running_")) {
            true => param.set_require_grad(false),
            false => param,
        }
    }
}

/// timm's name of a parameter.
pub fn resnet_names(path: &str) -> String {
    let parts = path.split('.').filter(|part| !matches!(*part, "ResNet" | "Batch" | "Group"));
    let parts: Vec<&str> = parts.collect();
    let name = match parts.as_slice() {
        ["stages", stage, block, rest @ ..] => {
            let stage = stage.parse::<usize>().map_or(0, |stage| stage + 1);
            let rest = rest.join(".").replace("downsample.conv", "downsample.0");
            let rest = rest.replace("downsample.norm", "downsample.1");
            format!("layer{stage}.{block}.{rest}")
        }
        parts => parts.join("."),
    };
    norm_names(name)
}

/// diffusers' name of a parameter of `UNetEncoder`.
pub fn unet_encoder_names(path: &str) -> String {
    let path = path.strip_prefix("UNet.").unwrap_or(path);
    unet_names(path)
}
