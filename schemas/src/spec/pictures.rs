//! `[evaluation.generation.metrics]`: how drawn pictures are compared with real ones.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Networks by path, and how many features are looked at. What has no network is not computed; without InceptionV3 the
/// distances are those of DINOv2's features, under another name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PictureMetricsSpec {
    /// InceptionV3 in the layout of the FID weights, a safetensors file: FID and KID.
    pub inception: Option<PathBuf>,
    /// How pictures are brought to InceptionV3; FID and KID depend on it.
    pub inception_input: InceptionInput,
    /// The state of `lpips.LPIPS`, or torchvision's AlexNet or VGG16, a safetensors file: LPIPS.
    pub lpips: Option<PathBuf>,
    /// The linear heads, where the file of `lpips` has none.
    pub lpips_heads: Option<PathBuf>,
    /// Folder of a CLIP with its `preprocessor_config.json`: CLIP image score.
    pub clip: Option<PathBuf>,
    /// Folder of a DINOv2 or DINO, taken without InceptionV3; the encoder of the run where absent.
    pub dinov2: Option<PathBuf>,
    /// Stored statistics of the real pictures (`trainer fidelity --save-statistics`), in place of computing them.
    pub reference: Option<PathBuf>,
    /// Which real pictures the distances are taken to.
    pub real: RealPictures,
    /// Kernel distance: subsets.
    pub kernel_subsets: u32,
    /// Kernel distance: pictures of a subset, at most as many as there are.
    pub kernel_subset_size: u32,
    /// Kernel distance: features of so many pictures are kept, drawn at random where there are more.
    pub kernel_pictures: u32,
    /// Seed of everything drawn here.
    pub seed: u64,
}

impl Default for PictureMetricsSpec {
    fn default() -> Self {
        Self {
            inception: None,
            inception_input: InceptionInput::PytorchFid,
            lpips: None,
            lpips_heads: None,
            clip: None,
            dinov2: None,
            reference: None,
            real: RealPictures::Drawn,
            kernel_subsets: 100,
            kernel_subset_size: 1000,
            kernel_pictures: 5000,
            seed: 42,
        }
    }
}

/// The resize in front of InceptionV3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InceptionInput {
    /// As pytorch-fid: between pixel centres.
    PytorchFid,
    /// As torch-fidelity and torchmetrics: as TensorFlow 1 resized.
    TorchFidelity,
}

/// The set that drawn pictures are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RealPictures {
    /// The pictures that were drawn again.
    Drawn,
    /// The whole validation set.
    All,
}
