//! Vision transformers: the patch tokens of DINOv2 and DINO, whole or up to the first trained block.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_nets::NetsError;
use glass_nets::dinov2::{Dinov2Model, Dinov2Tail, FinalNorm};
use glass_schemas::spec::trainer::{EncoderKind, EncoderOutput, EncoderSpec};

use crate::error::{Result, TrainerError};
use crate::parts::{Group, Layout, Origin, with_ids_by_path};

/// How trained blocks are saved.
pub const LAYOUT: Layout = Layout::plain(Group::Encoder, Origin::Pretrained, "encoder/model.safetensors", block_names);

/// Which patch tokens of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// After the last norm.
    Normalised,
    /// After the last block.
    Plain,
    /// Those of class, registers and patches after so many blocks.
    States(usize),
}

/// A vision transformer, frozen.
#[derive(Debug)]
pub struct VisionTransformer {
    model: Dinov2Model,
    depth: Depth,
}

impl VisionTransformer {
    /// Loads the checkpoint the spec names.
    ///
    /// # Errors
    /// [`TrainerError::Nets`]; [`TrainerError::Spec`] where it is another network, or has no such
    /// block.
    pub fn load(spec: &EncoderSpec, device: &Device) -> Result<Self> {
        let model = load(spec, device)?;
        let depth = match (spec.train_from, spec.output) {
            (Some(first), _) => Depth::States(first),
            (None, EncoderOutput::Normalised) => Depth::Normalised,
            (None, EncoderOutput::Plain) => Depth::Plain,
        };
        Ok(Self { model, depth })
    }

    /// Normalised pixels `[batch, 3, height, width]` → `[batch, rows, size]`.
    ///
    /// # Errors
    /// Where pictures do not divide into patches.
    pub fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>, NetsError> {
        let model = &self.model;
        Ok(match self.depth {
            Depth::Normalised => model.patch_tokens(pixels)?,
            Depth::Plain => model.without_prefix(model.hidden_state(pixels, model.layers())?),
            Depth::States(blocks) => model.hidden_state(pixels, blocks)?,
        })
    }

    /// Rows that it gives for a square picture, and their width.
    pub fn shape(&self, side: usize) -> [usize; 2] {
        let tokens = (side / self.patch()).pow(2);
        let before = match self.depth {
            Depth::States(_) => self.model.prefix_tokens(),
            Depth::Normalised | Depth::Plain => 0,
        };
        [before + tokens, self.model.dim()]
    }

    /// Side of a patch in pixels.
    pub fn patch(&self) -> usize {
        self.model.patch_size()
    }
}

/// The last blocks of a vision transformer: one copy is trained, and a frozen one gives what is
/// decoded (SPOT's second encoder).
#[derive(Debug, Clone)]
pub struct TunedBlocks {
    /// Trained.
    pub trained: Dinov2Tail,
    /// As they were.
    pub frozen: Dinov2Tail,
}

impl TunedBlocks {
    /// Loads the blocks from `first` on.
    ///
    /// # Errors
    /// As [`VisionTransformer::load`].
    pub fn load(spec: &EncoderSpec, first: usize, device: &Device) -> Result<Self> {
        let norm = match spec.output {
            EncoderOutput::Normalised => FinalNorm::Applied,
            EncoderOutput::Plain => FinalNorm::LeftOut,
        };
        let tail = load(spec, device)?.tail(first, norm)?;
        let frozen = tail.clone().no_grad();
        let trained = with_ids_by_path(tail, "encoder");
        let trained = match device.is_autodiff() {
            // Weights are loaded without a wish for gradients.
            true => trained.set_require_grad(true).with_frozen_norm(),
            false => trained,
        };
        Ok(Self { trained, frozen })
    }
}

/// The network of a spec, which must be of the kind that the spec says.
fn load(spec: &EncoderSpec, device: &Device) -> Result<Dinov2Model> {
    let model = Dinov2Model::load(&spec.weights, device)?;
    let kind = match model.is_dinov2() {
        true => EncoderKind::Dinov2,
        false => EncoderKind::Dino,
    };
    if kind != spec.kind {
        return Err(another_kind(&spec.weights, kind, spec.kind));
    }
    match spec.train_from {
        Some(first) if first >= model.layers() => Err(TrainerError::Spec {
            field: "trainer.encoder.train_from",
            message: format!("is {first}, the network has {} blocks", model.layers()),
        }),
        _ => Ok(model),
    }
}

fn another_kind(weights: &Path, found: EncoderKind, expected: EncoderKind) -> TrainerError {
    let name = |kind: EncoderKind| match kind {
        EncoderKind::Dinov2 => "dinov2",
        EncoderKind::Dino => "dino",
        EncoderKind::Resnet34 => "resnet34",
        EncoderKind::UnetEncoder => "unet-encoder",
    };
    TrainerError::Spec {
        field: "trainer.encoder.kind",
        message: format!(
            "is `{}`, but `{}` holds a network of kind `{}`",
            name(expected),
            weights.display(),
            name(found)
        ),
    }
}

/// The saved name of a parameter of the trained blocks; `blocks.0` is the first trained one.
fn block_names(path: &str) -> String {
    let path = path.replace("mlp.Plain.", "mlp.").replace("mlp.Gated.", "mlp.");
    match path.rsplit_once('.') {
        Some((layer, "gamma")) => format!("{layer}.weight"),
        Some((layer, "beta")) => format!("{layer}.bias"),
        _ => path,
    }
}
