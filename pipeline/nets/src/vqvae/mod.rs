//! Pictures to latents of a codebook and back: upstream `VQModel`, the autoencoder that SlotDiffusion's
//! latent diffusion works on.

mod config;
mod names;

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

pub use config::VqVaeConfig;

use crate::error::Result;
use crate::resnet::pointwise;
use crate::vae::{Decoder, Encoder, mix_channels};
use crate::weights::{Scope, Start, Weights};

/// The autoencoder.
#[derive(Module, Debug)]
pub struct VqVae {
    encoder: Encoder,
    quant_conv: Linear,
    quantize: Codebook,
    post_quant_conv: Linear,
    decoder: Decoder,
    #[module(skip)]
    scaling_factor: f64,
    #[module(skip)]
    downscale: usize,
}

/// The codes.
#[derive(Module, Debug)]
struct Codebook {
    /// `[code_size, codes]`, as every matrix here stands the other way round than in the file.
    embedding: Param<Tensor<2>>,
    #[module(skip)]
    commitment_weight: f64,
    #[module(skip)]
    codebook_weight: f64,
}

/// Latents replaced by their nearest codes.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// `[batch, code_size, height, width]`; its gradient goes straight to what was quantised.
    pub latents: Tensor<4>,
    /// The code of each position, sample by sample in reading order.
    pub codes: Vec<usize>,
    /// The commitment and the codebook term, weighted.
    pub loss: Tensor<1>,
}

impl VqVae {
    /// Reads `config.json` and `diffusion_pytorch_model.safetensors` in `folder`, named as diffusers or as
    /// the original code names them.
    ///
    /// # Errors
    /// When a file is missing or damaged, the two do not belong together, or the configuration asks for
    /// something that is not implemented.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let config = VqVaeConfig::read(&folder)?;
        let mut weights = Weights::open(folder, "diffusion_pytorch_model")?;
        if weights.contains("encoder.norm_out.weight") {
            let levels = config.convolutions.block_out_channels.len();
            weights = weights.renamed(|name| names::of_original(name, levels));
        }
        let model = Self::from_scope(&weights.root(device), &config)?;
        weights.finish(&[])?;
        Ok(model)
    }

    /// Takes the network's weights from a scope.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn from_scope(scope: &Scope<'_>, config: &VqVaeConfig) -> Result<Self> {
        let convolutions = &config.convolutions;
        let (latent, code) = (convolutions.latent_channels, config.code_size);
        let embedding = scope.enter("quantize").enter("embedding");
        Ok(Self {
            encoder: Encoder::from_scope(&scope.enter("encoder"), convolutions, latent)?,
            quant_conv: pointwise(scope, "quant_conv", latent, code)?,
            quantize: Codebook {
                embedding: Param::from_tensor(embedding.transposed("weight", config.codes, code)?),
                commitment_weight: config.commitment_weight,
                codebook_weight: config.codebook_weight,
            },
            post_quant_conv: pointwise(scope, "post_quant_conv", code, latent)?,
            decoder: Decoder::from_scope(&scope.enter("decoder"), convolutions)?,
            scaling_factor: convolutions.scaling_factor,
            downscale: 1 << (convolutions.block_out_channels.len() - 1),
        })
    }

    /// How a tensor starts where the network is trained from scratch: codes U(±1/codes).
    pub fn start(name: &str, shape: &[usize], default: Start) -> Start {
        match (name, shape) {
            ("quantize.embedding.weight", [codes, _]) => Start::Uniform(1.0 / *codes as f32),
            _ => default,
        }
    }

    /// The latents before they are quantised, which is what a diffusion model works on, of pictures
    /// `[batch, 3, height, width]` in [−1, 1]: `[batch, code_size, height / downscale, …]`, not scaled.
    pub fn encode(&self, pictures: Tensor<4>) -> Tensor<4> {
        mix_channels(Some(&self.quant_conv), self.encoder.forward(pictures))
    }

    /// Each position's nearest code.
    pub fn quantize(&self, latents: Tensor<4>) -> Quantized {
        self.quantize.forward(latents)
    }

    /// Pictures of quantised latents; about [−1, 1], not clamped.
    pub fn decode_quantized(&self, latents: Tensor<4>) -> Tensor<4> {
        let latents = mix_channels(Some(&self.post_quant_conv), latents);
        self.decoder.forward(latents)
    }

    /// Pictures of latents as a diffusion model makes them, divided by
    /// [`scaling_factor`](Self::scaling_factor): quantised first.
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        self.decode_quantized(self.quantize(latents).latents)
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
        self.quantize.embedding.dims()[0]
    }
}

impl Codebook {
    fn forward(&self, latents: Tensor<4>) -> Quantized {
        let [batch, size, height, width] = latents.dims();
        let embedding = self.embedding.val();
        // [positions, code_size]
        let rows = latents.clone().permute([0, 2, 3, 1]).reshape([batch * height * width, size]);
        // |z − e|² without |z|², which is the same for every code.
        let products = rows.clone().detach().matmul(embedding.clone().detach());
        let distances = embedding.clone().square().sum_dim(0) - products * 2.0;
        let codes = distances.detach().argmin(1).squeeze_dim::<1>(1);
        let nearest = embedding.transpose().select(0, codes.clone());
        let square = |a: Tensor<2>, b: Tensor<2>| (a - b).square().mean();
        let loss = square(nearest.clone().detach(), rows.clone()) * self.commitment_weight
            + square(nearest.clone(), rows.clone().detach()) * self.codebook_weight;
        let through = rows.clone() + (nearest - rows).detach();
        Quantized {
            latents: through.reshape([batch, height, width, size]).permute([0, 3, 1, 2]),
            codes: codes.into_data().iter::<i64>().map(|code| usize::try_from(code).unwrap_or(0)).collect(),
            loss,
        }
    }
}
