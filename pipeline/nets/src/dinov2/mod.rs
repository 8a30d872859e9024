//! DINOv2, the frozen image encoder whose tokens the slots compete for.

mod block;
mod config;

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use crate::error::{NetsError, Result};
use crate::layers::layer_norm;
use crate::vision::{PatchEmbedding, PositionInterpolation, interpolate_positions};
use crate::weights::{Scope, Weights};
use block::Block;
pub use config::Dinov2Config;

/// transformers' `Dinov2Model` (and `Dinov2WithRegistersModel`).
#[derive(Module, Debug)]
pub struct Dinov2Model {
    patches: PatchEmbedding,
    class_token: Param<Tensor<3>>,
    positions: Param<Tensor<3>>,
    registers: Option<Param<Tensor<3>>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    #[module(skip)]
    interpolation: PositionInterpolation,
    dim: usize,
    patch: usize,
}

impl Dinov2Model {
    /// Loads `config.json` and the weights from a checkpoint's folder.
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = folder.as_ref().join("config.json");
        let config: Dinov2Config = crate::config::read(&path)?;
        let weights = Weights::open(folder, "model")?;
        let model = Self::from_scope(&weights.root(device), &config, &path)?;
        weights.finish(&["embeddings.mask_token"])?;
        Ok(model)
    }

    fn from_scope(scope: &Scope, config: &Dinov2Config, path: &Path) -> Result<Self> {
        let bad = |field: &str, message: String| NetsError::Config {
            path: path.to_owned(),
            field: field.to_owned(),
            message,
        };
        let dim = config.hidden_size;
        let patch = config
            .patch()
            .ok_or_else(|| bad("patch_size", "patches must be square".to_owned()))?;
        let grid = config
            .grid()
            .ok_or_else(|| bad("image_size", "pictures must be square".to_owned()))?;
        if !dim.is_multiple_of(config.num_attention_heads) {
            return Err(bad(
                "num_attention_heads",
                format!("{dim} channels do not divide into that many heads"),
            ));
        }
        let registers = config.registers();
        let embeddings = scope.enter("embeddings");
        let blocks = (0..config.num_hidden_layers)
            .map(|index| Block::load(&scope.enter("encoder.layer").enter(index), config))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            patches: PatchEmbedding::load(
                &embeddings,
                "patch_embeddings.projection",
                config.num_channels,
                patch,
                dim,
            )?,
            class_token: embeddings.param("cls_token", [1, 1, dim])?,
            positions: embeddings.param("position_embeddings", [1, 1 + grid * grid, dim])?,
            registers: (registers > 0)
                .then(|| embeddings.param("register_tokens", [1, registers, dim]))
                .transpose()?,
            blocks,
            norm: layer_norm(
                scope,
                "layernorm",
                &LayerNormConfig::new(dim).with_epsilon(config.layer_norm_eps),
            )?,
            interpolation: match registers {
                0 => PositionInterpolation::Size,
                _ => PositionInterpolation::Antialias,
            },
            dim,
            patch,
        })
    }

    /// Chooses how the positions are stretched to pictures of another size than they were learned for.
    pub fn with_interpolation(mut self, interpolation: PositionInterpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// Width of a token.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Side of a patch in pixels.
    pub fn patch_size(&self) -> usize {
        self.patch
    }

    /// Normalised pixels `[batch, channels, height, width]`, sides multiples of the patch, to the last
    /// hidden state after the final norm, `[batch, 1 + registers + rows * columns, dim]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the picture does not divide into patches.
    pub fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let grid = self.patches.grid(&pixels)?;
        let patches = self.patches.forward(pixels)?;
        let batch = patches.dims()[0];
        let repeat = |token: &Param<Tensor<3>>| token.val().repeat_dim(0, batch);
        let tokens = Tensor::cat(vec![repeat(&self.class_token), patches], 1);
        let mut x = tokens + interpolate_positions(self.positions.val(), grid, self.interpolation);
        if let Some(registers) = &self.registers {
            let count = x.dims()[1];
            let (class, patches) = (x.clone().narrow(1, 0, 1), x.narrow(1, 1, count - 1));
            x = Tensor::cat(vec![class, repeat(registers), patches], 1);
        }
        for block in &self.blocks {
            x = block.forward(x);
        }
        Ok(self.norm.forward(x))
    }

    /// The patches' tokens of the last hidden state in reading order, `[batch, rows * columns, dim]`.
    ///
    /// # Errors
    /// As [`Dinov2Model::forward`].
    pub fn patch_tokens(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let [rows, columns] = self.patches.grid(&pixels)?;
        let hidden = self.forward(pixels)?;
        let patches = rows * columns;
        let first = hidden.dims()[1] - patches;
        Ok(hidden.narrow(1, first, patches))
    }
}
