//! What slots are decoded into: features, images.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The decoder of the features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureDecoderSpec {
    /// Which one.
    pub kind: FeatureDecoderKind,
    /// Hidden layers of the MLP, blocks of the Transformer.
    pub layers: usize,
    /// Width of the hidden layers, of the Transformer's feed-forward layer.
    pub size: usize,
    /// Attention heads of the Transformer.
    pub heads: usize,
    /// How the Transformer's blocks are built; written only where they are OCLF's, so that runs from before keep
    /// their names.
    #[serde(skip_serializing_if = "TransformerBlocks::is_spot")]
    pub blocks: TransformerBlocks,
    /// In which orders the Transformer decodes.
    pub orders: Orders,
    /// Share of the tokens that the MLP decodes in a step, drawn anew each step; 1 decodes all.
    pub token_share: f64,
}

impl Default for FeatureDecoderSpec {
    fn default() -> Self {
        Self {
            kind: FeatureDecoderKind::Mlp,
            layers: 3,
            size: 2048,
            heads: 6,
            blocks: TransformerBlocks::Spot,
            orders: Orders::Standard,
            token_share: 1.0,
        }
    }
}

/// Which decoder of the features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureDecoderKind {
    /// None: slots are learned from images alone.
    None,
    /// The spatial-broadcast MLP (DINOSAUR, GLASS).
    Mlp,
    /// The autoregressive Transformer (DINOSAUR, SPOT).
    Transformer,
}

/// How the blocks of an autoregressive decoder are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransformerBlocks {
    /// Attention without biases, a first block that goes on from its normalised input, a last layer norm (SLATE,
    /// SPOT).
    Spot,
    /// `torch.nn.TransformerDecoderLayer` with `norm_first`: attention with biases, no last norm (OCLF).
    Torch,
}

impl TransformerBlocks {
    fn is_spot(&self) -> bool {
        matches!(self, Self::Spot)
    }
}

/// In which orders an autoregressive decoder goes over the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orders {
    /// Row by row.
    Standard,
    /// Eight scans from the corners and a spiral; one of them drawn for each step (SPOT).
    Nine,
}

/// The decoder of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageDecoderSpec {
    /// Which one. A decoder's own constants are in its table.
    pub kind: ImageDecoderKind,
}

impl Default for ImageDecoderSpec {
    fn default() -> Self {
        Self { kind: ImageDecoderKind::StableDiffusion }
    }
}

/// Which decoder of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageDecoderKind {
    /// None: slots are learned from features alone.
    None,
    /// A pretrained UNet with slots in place of text: `[trainer.diffusion]`.
    StableDiffusion,
    /// A UNet trained from nothing with slots as its context: `[trainer.latent_diffusion]`.
    LatentDiffusion,
    /// The spatial-broadcast decoder of pixels: `[trainer.broadcast]`.
    Broadcast,
}

/// A latent diffusion model that is trained from nothing with slots as its context (SlotDiffusion,
/// Latent Slot Diffusion from scratch).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LatentDiffusionSpec {
    /// Folder of `unet/config.json` and `scheduler/scheduler_config.json` in the layout of
    /// `diffusers`; no weights.
    pub config: PathBuf,
    /// Which autoencoder makes the latents.
    pub autoencoder: AutoencoderKind,
    /// Folder of its checkpoint in the layout of `diffusers`.
    pub autoencoder_weights: PathBuf,
    /// Side in pixels of the picture that is encoded.
    pub image_size: u32,
    /// How the last layers of its blocks start.
    pub outputs: OutputStart,
}

impl Default for LatentDiffusionSpec {
    fn default() -> Self {
        Self {
            config: PathBuf::from("manifests/networks/slot-diffusion"),
            autoencoder: AutoencoderKind::Kl,
            autoencoder_weights: PathBuf::from("assets/mini/stable-diffusion/vae"),
            image_size: 224,
            outputs: OutputStart::Zero,
        }
    }
}

/// Which autoencoder makes latents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoencoderKind {
    /// Of continuous latents (`AutoencoderKL`): a sample of the posterior.
    Kl,
    /// Of a codebook (`VQModel`): the latents before they are quantised.
    Vq,
}

/// How the last layers of a UNet's blocks start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStart {
    /// As every other layer (`diffusers`).
    Drawn,
    /// At zero, so that every block begins as the identity (latent diffusion's own code).
    Zero,
}

/// The spatial-broadcast decoder of pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BroadcastDecoderSpec {
    /// Channels between the convolutions.
    pub channels: usize,
    /// Transposed convolutions; each doubles the side.
    pub layers: usize,
    /// Side of their kernels.
    pub kernel: usize,
    /// Side of the picture in pixels.
    pub image_size: u32,
}

impl Default for BroadcastDecoderSpec {
    fn default() -> Self {
        Self { channels: 64, layers: 4, kernel: 5, image_size: 128 }
    }
}

/// The diffusion decoder: a pretrained UNet with slots in place of text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffusionDecoderSpec {
    /// Folder of a Stable Diffusion checkpoint in the layout of `diffusers`.
    pub weights: PathBuf,
    /// Where the clean latents come from.
    pub latents: Latents,
    /// Side in pixels of the picture that is encoded, where latents are encoded.
    pub image_size: u32,
    /// Which parameters of the UNet phase 2 trains.
    pub train: UNetPart,
}

impl Default for DiffusionDecoderSpec {
    fn default() -> Self {
        Self {
            weights: PathBuf::from("assets/mini/stable-diffusion"),
            latents: Latents::Encode,
            image_size: 256,
            train: UNetPart::All,
        }
    }
}

/// Where the clean latents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Latents {
    /// The latent column of the generations: what the sampler ended with. A mirrored sample
    /// mirrors its latent, which is only nearly the latent of the mirrored image.
    Stored,
    /// A sample of the autoencoder's posterior of the (mirrored) image, as Latent Slot Diffusion.
    Encode,
}

/// Which parameters of the UNet are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UNetPart {
    /// All of them.
    All,
    /// Only its cross-attention layers.
    Attn2,
}
