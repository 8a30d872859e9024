//! `vae/config.json`.

use std::path::Path;

use serde::Deserialize;

use crate::config::{self, Levels, Problem};
use crate::error::Result;

/// Upstream `AutoencoderKL`'s configuration, with its defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of a decoded picture.
    pub out_channels: usize,
    /// Channels of each level, finest first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of a level on the way down; one more on the way up.
    pub layers_per_block: usize,
    /// Channels of the latent.
    pub latent_channels: usize,
    /// Groups of the group norms.
    pub norm_num_groups: usize,
    /// Attention in the middle.
    pub mid_block_add_attention: bool,
    /// A 1×1 convolution after the encoder.
    pub use_quant_conv: bool,
    /// A 1×1 convolution before the decoder.
    pub use_post_quant_conv: bool,
    /// What the diffusion model's latents are multiplied by.
    pub scaling_factor: f64,
    /// The decoder overflows in `f16`.
    pub force_upcast: bool,
    /// Side of the pictures it was trained on, in pixels.
    pub sample_size: usize,
    act_fn: String,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    shift_factor: Option<f64>,
    latents_mean: Option<Vec<f64>>,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![64],
            layers_per_block: 1,
            latent_channels: 4,
            norm_num_groups: 32,
            mid_block_add_attention: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
            scaling_factor: 0.18215,
            force_upcast: true,
            sample_size: 32,
            act_fn: "silu".to_owned(),
            down_block_types: vec!["DownEncoderBlock2D".to_owned()],
            up_block_types: vec!["UpDecoderBlock2D".to_owned()],
            shift_factor: None,
            latents_mean: None,
        }
    }
}

impl VaeConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When the file cannot be read, or asks for something that is not implemented: the field is named.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        config::checked(folder, Self::problem)
    }

    /// Side of a tile in latent positions: a picture of the trained size.
    pub(super) fn tile(&self) -> usize {
        (self.sample_size >> (self.block_out_channels.len() - 1)).max(1)
    }

    fn problem(&self) -> Option<Problem> {
        let levels = Levels {
            channels: &self.block_out_channels,
            groups: self.norm_num_groups,
            activation: &self.act_fn,
            blocks: [
                ("down_block_types", &self.down_block_types, "DownEncoderBlock2D"),
                ("up_block_types", &self.up_block_types, "UpDecoderBlock2D"),
            ],
        };
        let absent = |field| (field, "is not implemented".to_owned());
        let shifts = self.shift_factor.is_some_and(|shift| shift != 0.0);
        levels
            .problem()
            .or_else(|| shifts.then(|| absent("shift_factor")))
            .or_else(|| self.latents_mean.is_some().then(|| absent("latents_mean")))
    }
}
