//! What the configurations of DINO and DINOv2 come down to.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Dinov2Config, ViTConfig};
use crate::activation::Activation;
use crate::error::{NetsError, Result};

/// The sizes of a vision transformer.
#[derive(Debug, Clone)]
pub(super) struct Architecture {
    pub dim: usize,
    pub blocks: usize,
    pub heads: usize,
    /// Width of the MLP's hidden layer.
    pub hidden: usize,
    /// The MLP's activation; a gated one has its own.
    pub activation: Activation,
    pub gated: bool,
    pub eps: f64,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Side of the grid of patches that the positions were learned for.
    pub grid: usize,
    pub channels: usize,
    pub qkv_bias: bool,
    /// Whether what a block adds is scaled (LayerScale).
    pub scaled: bool,
    pub registers: usize,
}

/// What says which class the configuration is of.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    model_type: String,
}

impl Architecture {
    /// Reads `config.json`: `dinov2` or `dinov2_with_registers`, or `vit`, which DINO is.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let kind: Kind = crate::config::read(path)?;
        let (architecture, image, patch) = match kind.model_type.as_str() {
            "" | "dinov2" | "dinov2_with_registers" => of_dinov2(crate::config::read(path)?),
            "vit" => of_vit(crate::config::read(path)?),
            other => {
                let message =
                    format!("`{other}` is no such encoder, expected `dinov2`, `dinov2_with_registers` or `vit`");
                return Err(bad(path, "model_type", message));
            }
        };
        let patch = square(&patch).ok_or_else(|| bad(path, "patch_size", "patches must be square".to_owned()))?;
        let image = square(&image).ok_or_else(|| bad(path, "image_size", "pictures must be square".to_owned()))?;
        let (dim, heads) = (architecture.dim, architecture.heads);
        if heads == 0 || !dim.is_multiple_of(heads) {
            let message = format!("{dim} channels do not divide into {heads} heads");
            return Err(bad(path, "num_attention_heads", message));
        }
        let grid = image / patch;
        Ok(Self { patch, grid, ..architecture })
    }
}

/// The architecture without patch and grid, then the sides of a picture and a patch.
fn of_dinov2(config: Dinov2Config) -> (Architecture, Value, Value) {
    let architecture = Architecture {
        dim: config.hidden_size,
        blocks: config.num_hidden_layers,
        heads: config.num_attention_heads,
        hidden: config.mlp_width(),
        activation: config.hidden_act,
        gated: config.use_swiglu_ffn,
        eps: config.layer_norm_eps,
        patch: 0,
        grid: 0,
        channels: config.num_channels,
        qkv_bias: config.qkv_bias,
        scaled: true,
        registers: config.registers(),
    };
    (architecture, config.image_size, config.patch_size)
}

fn of_vit(config: ViTConfig) -> (Architecture, Value, Value) {
    let architecture = Architecture {
        dim: config.hidden_size,
        blocks: config.num_hidden_layers,
        heads: config.num_attention_heads,
        hidden: config.intermediate_size,
        activation: config.hidden_act,
        gated: false,
        eps: config.layer_norm_eps,
        patch: 0,
        grid: 0,
        channels: config.num_channels,
        qkv_bias: config.qkv_bias,
        scaled: false,
        registers: 0,
    };
    (architecture, config.image_size, config.patch_size)
}

fn bad(path: &Path, field: &str, message: String) -> NetsError {
    NetsError::Config { path: path.to_owned(), field: field.to_owned(), message }
}

/// The side that a number or a pair of equal numbers gives.
fn square(value: &Value) -> Option<usize> {
    let side = match value {
        Value::Array(sides) => match sides.as_slice() {
            [height, width] if height == width => height.as_u64(),
            _ => None,
        },
        value => value.as_u64(),
    };
    side.and_then(|side| usize::try_from(side).ok()).filter(|side| *side > 0)
}
