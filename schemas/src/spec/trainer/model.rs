//! What is trained: encoder, slots, decoders.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Switch;

/// The feature encoder: frozen, or trained from a block on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderSpec {
    /// Which network.
    pub kind: EncoderKind,
    /// Folder of its checkpoint in the layout of `transformers`, of `timm` (ResNet) or of `diffusers`
    /// (UNet encoder); of its `config.json` alone where it starts from nothing.
    pub weights: PathBuf,
    /// How the weights of a convolutional encoder start; such an encoder is trained as a whole.
    pub start: NetworkStart,
    /// How pixels are normalised.
    pub pixels: Pixels,
    /// Side in pixels of the picture it sees (GLASS: 448, which gives 32 × 32 tokens).
    pub image_size: u32,
    /// Which tokens of a vision transformer are its features.
    pub output: EncoderOutput,
    /// The first block of a vision transformer that is trained, counted from 0; none where it is
    /// frozen. The decoder's target stays the features of the frozen network (SPOT).
    pub train_from: Option<usize>,
}

impl Default for EncoderSpec {
    fn default() -> Self {
        Self {
            kind: EncoderKind::Dinov2,
            weights: PathBuf::from("assets/mini/dinov2"),
            start: NetworkStart::Pretrained,
            pixels: Pixels::Checkpoint,
            image_size: 448,
            output: EncoderOutput::Normalised,
            train_from: None,
        }
    }
}

/// Which network turns pictures into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderKind {
    /// DINOv2, with or without registers.
    Dinov2,
    /// DINO (ViT-B/16, ViT-S/8 and their like).
    Dino,
    /// A residual network of basic blocks, trained with the slots (ResNet34 of SAVi).
    Resnet34,
    /// The UNet encoder of Latent Slot Diffusion from scratch, trained with the slots.
    UnetEncoder,
}

impl EncoderKind {
    /// Whether it is trained as a whole, from pixels on.
    pub const fn is_convolutional(self) -> bool {
        matches!(self, Self::Resnet34 | Self::UnetEncoder)
    }
}

/// How pixels are normalised for an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pixels {
    /// As its checkpoint says; within [−1, 1] where the encoder is trained as a whole.
    Checkpoint,
    /// Within [−1, 1] (SlotDiffusion, which shows DINO what the image decoder sees).
    Centred,
}

/// How the weights of a network start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkStart {
    /// From a checkpoint.
    Pretrained,
    /// Drawn from the run's seed.
    Scratch,
}

/// Which tokens of a vision transformer are its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderOutput {
    /// After the last layer norm (`x_norm_patchtokens`: GLASS, Latent Slot Diffusion).
    Normalised,
    /// As the last block leaves them (DINOSAUR, SPOT).
    Plain,
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
    /// Width of the slots given to the decoders; the cross-attention width of the UNet. Not read
    /// without an output layer.
    pub out_size: usize,
    /// Added to the attention before it is normalised over the tokens.
    pub epsilon: f64,
    /// Where slots start.
    pub initial: InitialSlots,
    /// What is added to the features before slots see them.
    pub position: Position,
    /// Width of the tokens that slots compete for.
    pub tokens: TokenWidth,
    /// Whether a layer norm and a linear map lead from the slots to the decoders.
    pub output: Switch,
    /// Through how many iterations gradients flow.
    pub truncation: Truncation,
    /// Whether slots beyond the number of objects stay empty.
    pub known_count: KnownCount,
    /// How weights start.
    pub weights: InitialWeights,
}

impl SlotsSpec {
    /// Width of the slots that decoders get.
    pub const fn decoded_size(&self) -> usize {
        match self.output {
            Switch::On => self.out_size,
            Switch::Off => self.size,
        }
    }
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
            tokens: TokenWidth::Features,
            output: Switch::On,
            truncation: Truncation::None,
            known_count: KnownCount::Off,
            weights: InitialWeights::Torch,
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
    /// The same, normal numbers at first (SlotDiffusion).
    Normal,
    /// An MLP of the objects' boxes (`init_mlp` of GLASS's evaluation code).
    Boxes,
}

/// Position embedding of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// None.
    None,
    /// A linear map of (row, column, 1 − row, 1 − column) of the token's centre.
    Grid,
    /// The same with coordinates that reach 0 and 1 at the edges (Slot Attention, SlotDiffusion).
    Soft,
    /// A linear map of (row, column) within [−1, 1], the edges included (SAVi).
    Savi,
}

/// Width of the tokens that slots compete for: the outputs of the MLP between features and slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenWidth {
    /// That of the features (Latent Slot Diffusion, SPOT).
    Features,
    /// That of the slots (DINOSAUR).
    Slots,
    /// That of the slots, the hidden layer before them too (plain Slot Attention, SlotDiffusion).
    Narrow,
}

/// Through how many iterations gradients flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// All.
    None,
    /// The last one, and straight through to the initial slots (BO-QSA; SPOT's student).
    BiLevel,
}

/// Whether slots beyond the number of annotated objects take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownCount {
    /// The number of objects is not used.
    Off,
    /// As many slots as objects: the ground has to share one (`--dynamic` of GLASS's evaluation
    /// code). At least one, where the published code divides by zero.
    Objects,
    /// One more for the ground.
    ObjectsAndBackground,
}

/// How weights of slots and feature decoder start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitialWeights {
    /// PyTorch's defaults.
    Torch,
    /// The same with biases of zero in linear maps; those of the recurrence stay (OCLF, `build_mlp`).
    ZeroBias,
    /// Xavier uniform, Kaiming before a ReLU, an orthogonal recurrence, biases of zero (SLATE, SPOT).
    Xavier,
}
