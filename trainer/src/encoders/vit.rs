//! Vision transformers: the patch tokens of DINOv2 and DINO, whole or up to the first trained block.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_nets::dinov2::{Dinov2Model, Dinov2Tail, FinalNorm};
use glass_nets::NetsError;
use glass_nets::image::ImageProcessor;
use glass_schemas::spec::trainer::{EncoderKind, EncoderOutput, EncoderSpec};
use image::RgbImage;

use super::Encoder;
use crate::error::{Result, TrainerError};
use crate::parts::{Group, Layout, Origin, with_ids_by_path};

/// How trained blocks are saved.
pub const LAYOUT: Layout = Layout::plain(
    Group::Encoder,
    Origin::Pretrained,
    "encoder/model.safetensors",
    block_names,
);

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

/// A vision transformer with its preprocessing, for pictures of any size.
#[derive(Debug)]
pub struct TransformerEncoder {
    network: VisionTransformer,
    processor: ImageProcessor,
    side: usize,
    device: Device,
}

impl TransformerEncoder {
    /// Loads the checkpoint the spec names.
    ///
    /// # Errors
    /// As [`VisionTransformer::load`]; [`TrainerError::Spec`] where the picture is no whole number of
    /// patches.
    pub fn load(spec: &EncoderSpec, device: &Device) -> Result<Self> {
        let network = VisionTransformer::load(spec, device)?;
        let (side, patch) = (spec.image_size as usize, network.patch());
        if side == 0 || !side.is_multiple_of(patch) {
            return Err(TrainerError::Spec {
                field: "trainer.encoder.image_size",
                message: format!("{side} is no multiple of the patch size {patch}"),
            });
        }
        Ok(Self {
            processor: ImageProcessor::load(&spec.weights)?.with_size(spec.image_size),
            device: device.clone(),
            network,
            side,
        })
    }
}

impl Encoder for TransformerEncoder {
    fn encode(&self, pictures: &[RgbImage]) -> Result<Tensor<3>> {
        Ok(self.network.forward(self.processor.batch(pictures, &self.device)?)?)
    }

    fn feature_shape(&self) -> [usize; 2] {
        self.network.shape(self.side)
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
