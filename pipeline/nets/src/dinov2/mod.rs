//! DINOv2 and DINO, the frozen image encoders whose tokens the slots compete for.
//!
//! DINO is a plain vision transformer; DINOv2 scales what its blocks add, may gate its MLP and may have
//! register tokens. Files may be named as transformers or as the original code names them.

mod architecture;
mod block;
mod config;
mod names;
mod tail;
mod vit;

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use crate::error::{NetsError, Result};
use crate::layers::layer_norm;
use crate::vision::{PatchEmbedding, PositionInterpolation, interpolate_positions};
use crate::weights::{Scope, Weights};
use architecture::Architecture;
use block::Block;
pub use config::Dinov2Config;
use names::Names;
pub use tail::{Dinov2Tail, FinalNorm};
pub use vit::ViTConfig;

/// transformers' `Dinov2Model`, `Dinov2WithRegistersModel`, and `ViTModel` without its pooler.
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
    scaled: bool,
}

impl Dinov2Model {
    /// Loads `config.json` and the weights from a checkpoint's folder: DINOv2 with or without registers, or
    /// DINO (`vit`).
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let sizes = Architecture::read(&folder.as_ref().join("config.json"))?;
        let weights = Weights::open(folder, "model")?;
        let scope = weights.root(device);
        let names = Names::of(&scope);
        let model = Self::from_scope(&scope, names, &sizes)?;
        weights.finish(names.ignored)?;
        Ok(model)
    }

    fn from_scope(scope: &Scope, names: &Names, sizes: &Architecture) -> Result<Self> {
        let (dim, patches, registers) = (sizes.dim, sizes.grid * sizes.grid, sizes.registers);
        let norm = LayerNormConfig::new(dim).with_epsilon(sizes.eps);
        let block = |index: usize| {
            let scope = scope.enter(names.blocks).enter(index);
            Block::load(&scope, &names.block, sizes)
        };
        Ok(Self {
            patches: PatchEmbedding::load(scope, names.patches, sizes.channels, sizes.patch, dim)?,
            class_token: scope.param(names.class_token, [1, 1, dim])?,
            positions: scope.param(names.positions, [1, 1 + patches, dim])?,
            registers: (registers > 0).then(|| scope.param(names.registers, [1, registers, dim])).transpose()?,
            blocks: (0..sizes.blocks).map(block).collect::<Result<_>>()?,
            norm: layer_norm(scope, names.norm, &norm)?,
            interpolation: match registers {
                0 => PositionInterpolation::Size,
                _ => PositionInterpolation::Antialias,
            },
            dim,
            patch: sizes.patch,
            scaled: sizes.scaled,
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

    /// Whether it is a DINOv2, whose blocks scale what they add, or a DINO.
    pub fn is_dinov2(&self) -> bool {
        self.scaled
    }

    /// Number of blocks.
    pub fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// Tokens before those of the patches: the class and the registers.
    pub fn prefix_tokens(&self) -> usize {
        let registers = self.registers.as_ref();
        1 + registers.map_or(0, |registers| registers.dims()[1])
    }

    /// Normalised pixels `[batch, channels, height, width]`, sides multiples of the patch, to the last
    /// hidden state after the final norm, `[batch, 1 + registers + rows * columns, dim]`. Pictures of
    /// another size than the positions were learned for have them stretched (`interpolate_pos_encoding`).
    ///
    /// # Errors
    /// [`NetsError::Input`] when the picture does not divide into patches.
    pub fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let x = self.hidden_state(pixels, self.layers())?;
        Ok(self.norm.forward(x))
    }

    /// The hidden state after so many blocks without the final norm, in the shape of
    /// [`Dinov2Model::forward`]: after 0 the embeddings, after [`Dinov2Model::layers`] the tokens that DINOSAUR
    /// and SPOT take from DINO (transformers' `hidden_states`).
    ///
    /// # Errors
    /// As [`Dinov2Model::forward`], or when there are fewer blocks.
    pub fn hidden_state(&self, pixels: Tensor<4>, layers: usize) -> Result<Tensor<3>> {
        let Some(blocks) = self.blocks.get(..layers) else {
            return Err(NetsError::input(format!(
                "there is no hidden state after {layers} blocks, the network has {}",
                self.layers()
            )));
        };
        let x = self.embed(pixels)?;
        Ok(blocks.iter().fold(x, |x, block| block.forward(x)))
    }

    /// Class, registers and patches with their positions.
    fn embed(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let grid = self.patches.grid(&pixels)?;
        let patches = self.patches.forward(pixels)?;
        let batch = patches.dims()[0];
        let repeat = |token: &Param<Tensor<3>>| token.val().repeat_dim(0, batch);
        let tokens = Tensor::cat(vec![repeat(&self.class_token), patches], 1);
        let x = tokens + interpolate_positions(self.positions.val(), grid, self.interpolation);
        let Some(registers) = &self.registers else {
            return Ok(x);
        };
        let count = x.dims()[1];
        let (class, patches) = (x.clone().narrow(1, 0, 1), x.narrow(1, 1, count - 1));
        Ok(Tensor::cat(vec![class, repeat(registers), patches], 1))
    }

    /// The patches' tokens of the last hidden state in reading order, `[batch, rows * columns, dim]`.
    ///
    /// # Errors
    /// As [`Dinov2Model::forward`].
    pub fn patch_tokens(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        Ok(self.without_prefix(self.forward(pixels)?))
    }

    /// A hidden state without the tokens of class and registers, `[batch, rows * columns, dim]`.
    pub fn without_prefix(&self, hidden: Tensor<3>) -> Tensor<3> {
        let (first, count) = (self.prefix_tokens(), hidden.dims()[1]);
        hidden.narrow(1, first, count - first)
    }
}
