//! What is trained: encoder, slots, decoders.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The frozen feature encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderSpec {
    /// Folder of a DINOv2 checkpoint in the layout of `transformers`.
    pub weights: PathBuf,
    /// Side in pixels of the picture it sees (GLASS: 448, which gives 32 × 32 tokens).
    pub image_size: u32,
}

impl Default for EncoderSpec {
    fn default() -> Self {
        Self {
            weights: PathBuf::from("assets/mini/dinov2"),
            image_size: 448,
        }
    }
}

/// Slot attention (`MultiHeadSTEVESA` of Latent Slot Diffusion, configuration of GLASS COCO).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlotsSpec {
    /// Number of slots: COCO 7, VOC 6.
    pub count: usize,
    /// Rounds of competition.
    pub iterations: usize,
    /// Attention heads; softmax runs over heads and slots together.
    pub heads: usize,
    /// Width of a slot while it competes.
    pub size: usize,
    /// Hidden width of the residual MLP after each round.
    pub mlp_size: usize,
    /// Width of the slots given to the decoders; the cross-attention width of the UNet.
    pub out_size: usize,
    /// Added to the attention before it is normalised over the tokens.
    pub epsilon: f64,
    /// Where slots start.
    pub initial: InitialSlots,
    /// What is added to the features before slots see them.
    pub position: Position,
}

impl Default for SlotsSpec {
    fn default() -> Self {
        Self {
            count: 7,
            iterations: 5,
            heads: 1,
            size: 768,
            mlp_size: 768,
            out_size: 1024,
            epsilon: 1e-6,
            initial: InitialSlots::Gaussian,
            position: Position::Grid,
        }
    }
}

/// Where slots start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitialSlots {
    /// Drawn from one learned Gaussian: any number of slots can be used at test time.
    Gaussian,
    /// One learned vector a slot.
    Learned,
}

/// Position embedding of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// None.
    None,
    /// A linear map of (row, column, 1 − row, 1 − column) of the token's centre.
    Grid,
}

/// The spatial-broadcast MLP decoder of the features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureDecoderSpec {
    /// Hidden layers.
    pub layers: usize,
    /// Their width.
    pub size: usize,
    /// Share of the tokens decoded in a step, drawn anew each step; 1 decodes all.
    pub token_share: f64,
}

impl Default for FeatureDecoderSpec {
    fn default() -> Self {
        Self {
            layers: 3,
            size: 2048,
            token_share: 1.0,
        }
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
