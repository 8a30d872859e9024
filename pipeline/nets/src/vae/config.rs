//! `vae/config.json`.

use std::path::Path;

use serde::Deserialize;

use crate::config;
use crate::error::{NetsError, Result};

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
        let path = folder.as_ref().join("config.json");
        let config: Self = config::read(&path)?;
        match config.problem() {
            None => Ok(config),
            Some((field, message)) => Err(NetsError::Config {
                path,
                field: field.to_owned(),
                message,
            }),
        }
    }

    /// Side of a tile in latent positions: a picture of the trained size.
    pub(super) fn tile(&self) -> usize {
        (self.sample_size >> (self.block_out_channels.len() - 1)).max(1)
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let levels = self.block_out_channels.len();
        let blocks = [
            (
                "down_block_types",
                &self.down_block_types,
                "DownEncoderBlock2D",
            ),
            ("up_block_types", &self.up_block_types, "UpDecoderBlock2D"),
        ];
        for (field, types, known) in blocks {
            if let Some(other) = types.iter().find(|name| *name != known) {
                return Some((
                    field,
                    format!("`{other}` is not implemented, only `{known}` is"),
                ));
            }
            if types.len() != levels {
                return Some((field, format!("{} blocks for {levels} levels", types.len())));
            }
        }
        if levels == 0 {
            return Some(("block_out_channels", "is empty".to_owned()));
        }
        let groups = self.norm_num_groups;
        if let Some(channels) = self
            .block_out_channels
            .iter()
            .find(|c| groups == 0 || !c.is_multiple_of(groups))
        {
            return Some((
                "norm_num_groups",
                format!("{groups} groups do not divide {channels} channels"),
            ));
        }
        if !matches!(self.act_fn.as_str(), "silu" | "swish") {
            return Some((
                "act_fn",
                format!("`{}` is not implemented, only `silu` is", self.act_fn),
            ));
        }
        if self.shift_factor.is_some_and(|shift| shift != 0.0) {
            return Some(("shift_factor", "is not implemented".to_owned()));
        }
        self.latents_mean
            .is_some()
            .then(|| ("latents_mean", "is not implemented".to_owned()))
    }
}
