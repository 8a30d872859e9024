//! Pictures to latents and back: upstream `AutoencoderKL`.

mod config;
mod half;
mod tiles;

use std::path::Path;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor};

pub use config::VaeConfig;

use crate::Weights;
use crate::error::Result;
use crate::resnet::pointwise;
pub(crate) use half::{Decoder, Encoder};

/// Latent positions that are decoded at once. A 512² picture keeps about a gigabyte of activations while it
/// is decoded, so that larger batches go picture by picture, which changes no number.
const POSITIONS_AT_ONCE: usize = 64 * 64;
/// Bounds of the log-variance, as upstream.
const LOG_VARIANCE: (f64, f64) = (-30.0, 20.0);

/// The autoencoder of latent diffusion.
#[derive(Module, Debug)]
pub struct AutoencoderKl {
    encoder: Encoder,
    quant_conv: Option<Linear>,
    post_quant_conv: Option<Linear>,
    decoder: Decoder,
    #[module(skip)]
    scaling_factor: f64,
    #[module(skip)]
    downscale: usize,
    #[module(skip)]
    latent_channels: usize,
    /// Side of a tile in latent positions.
    #[module(skip)]
    tile: usize,
    /// What the weights are in.
    #[module(skip)]
    dtype: FloatDType,
}

/// The distribution of a picture's latents; both `[batch, latent_channels, height / 8, width / 8]` (with
/// the usual three halvings).
#[derive(Debug, Clone)]
pub struct Posterior {
    /// The mean; also the mode.
    pub mean: Tensor<4>,
    /// The log-variance, clamped to [−30, 20].
    pub logvar: Tensor<4>,
}

impl Posterior {
    /// mean + σ · `noise`, the noise drawn by the caller.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + (self.logvar.clone() * 0.5).exp() * noise
    }
}

impl AutoencoderKl {
    /// Reads `config.json` and `diffusion_pytorch_model.safetensors` in `folder`.
    ///
    /// # Errors
    /// When a file is missing or damaged, the two do not belong together, or the configuration asks for
    /// something that is not implemented.
    ///
    /// A checkpoint with `force_upcast` computes in `f32` where the process computes in `f16`, as
    /// upstream's pipelines do: its activations overflow.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let config = VaeConfig::read(folder)?;
        let weights = Weights::open(folder, "diffusion_pytorch_model")?;
        let dtype = match device.settings().float_dtype {
            FloatDType::F16 if config.force_upcast => FloatDType::F32,
            dtype => dtype,
        };
        let scope = weights.root(device).in_type(dtype);
        let latent = config.latent_channels;
        let square =
            |name, channels, wanted: bool| wanted.then(|| pointwise(&scope, name, channels, channels)).transpose();
        let model = Self {
            encoder: Encoder::from_scope(&scope.enter("encoder"), &config, 2 * latent)?,
            quant_conv: square("quant_conv", 2 * latent, config.use_quant_conv)?,
            post_quant_conv: square("post_quant_conv", latent, config.use_post_quant_conv)?,
            decoder: Decoder::from_scope(&scope.enter("decoder"), &config)?,
            scaling_factor: config.scaling_factor,
            downscale: 1 << (config.block_out_channels.len() - 1),
            latent_channels: latent,
            tile: config.tile(),
            dtype,
        };
        weights.finish(&[])?;
        Ok(model)
    }

    /// The distribution of the latents of pictures `[batch, 3, height, width]` in [−1, 1], whose sides are
    /// multiples of [`downscale`](Self::downscale).
    pub fn encode(&self, image: Tensor<4>) -> Posterior {
        let image = image.cast(self.dtype);
        let moments = mix_channels(self.quant_conv.as_ref(), self.encoder.forward(image));
        let channels = self.latent_channels;
        let logvar = moments.clone().narrow(1, channels, channels);
        Posterior { mean: moments.narrow(1, 0, channels), logvar: logvar.clamp(LOG_VARIANCE.0, LOG_VARIANCE.1) }
    }

    /// Pictures of latents `[batch, latent_channels, height, width]`, already divided by
    /// [`scaling_factor`](Self::scaling_factor); about [−1, 1], not clamped. Large batches are decoded
    /// picture by picture.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = latents.dims();
        if batch == 1 || batch * height * width <= POSITIONS_AT_ONCE {
            return self.decode_at_once(latents);
        }
        let pictures = latents.split(1, 0).into_iter();
        Tensor::cat(pictures.map(|one| self.decode_at_once(one)).collect(), 0)
    }

    /// As [`decode`](Self::decode), in overlapping tiles of the checkpoint's own size whose seams are
    /// blended (upstream `enable_tiling`): for pictures that are too large to decode whole, and not the
    /// same picture, because normalisation and attention then see one tile.
    pub fn decode_tiled(&self, latents: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = latents.dims();
        if height <= self.tile && width <= self.tile {
            return self.decode(latents);
        }
        tiles::decode(latents, self.tile, self.downscale, |tile| self.decode(tile))
    }

    fn decode_at_once(&self, latents: Tensor<4>) -> Tensor<4> {
        let latents = latents.cast(self.dtype);
        self.decoder.forward(mix_channels(self.post_quant_conv.as_ref(), latents))
    }

    /// What the diffusion model's latents are multiplied by.
    pub fn scaling_factor(&self) -> f64 {
        self.scaling_factor
    }

    /// Pixels per latent position.
    pub fn downscale(&self) -> usize {
        self.downscale
    }

    /// Channels of the latent.
    pub fn latent_channels(&self) -> usize {
        self.latent_channels
    }
}

/// A 1×1 convolution as a product over channels.
pub(crate) fn mix_channels(layer: Option<&Linear>, x: Tensor<4>) -> Tensor<4> {
    match layer {
        Some(layer) => layer.forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2]),
        None => x,
    }
}
