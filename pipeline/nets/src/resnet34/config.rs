//! Sizes of a residual network of basic blocks.

use std::path::Path;

use serde::Deserialize;

use crate::config;
use crate::error::{NetsError, Result};

/// What normalises between the convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Statistics of the training set, as in published checkpoints; these are not trained here.
    Batch,
    /// Groups of channels of the sample itself: this many.
    Group(usize),
}

/// Sizes and strides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResNet34Config {
    /// Blocks of each stage; the first keeps the size, every further one halves it.
    pub depths: Vec<usize>,
    /// Channels of the first stage; each further one has twice as many.
    pub width: usize,
    /// Stride of the first convolution.
    pub stem_stride: usize,
    /// Stride of the pooling after it.
    pub pool_stride: usize,
    /// What normalises.
    pub norm: Norm,
}

/// `config.json` as timm writes it (`architecture`), with keys of our own for other sizes.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    architecture: Option<String>,
    depths: Option<Vec<usize>>,
    width: Option<usize>,
    stem_stride: Option<usize>,
    pool_stride: Option<usize>,
    groups: Option<usize>,
}

impl ResNet34Config {
    /// ResNet34 as torchvision and timm publish it.
    pub fn published() -> Self {
        Self { depths: vec![3, 4, 6, 3], width: 64, stem_stride: 2, pool_stride: 2, norm: Norm::Batch }
    }

    /// ResNet34 as SAVi uses it: no strides in the root, group norms throughout (16 × 16 features of a
    /// picture of 128 × 128).
    pub fn savi() -> Self {
        Self { stem_stride: 1, pool_stride: 1, norm: Norm::Group(32), ..Self::published() }
    }

    /// Reads `config.json` in `folder`; without one it is the published ResNet34.
    ///
    /// # Errors
    /// When the file cannot be read or its values do not fit each other: the field is named.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join("config.json");
        let file: File = config::read_or_default(&path)?;
        let bad =
            |field: &str, message: String| NetsError::Config { path: path.clone(), field: field.to_owned(), message };
        let base = match file.architecture.as_deref() {
            None | Some("resnet34") => Self::published(),
            Some("resnet34_savi") => Self::savi(),
            Some("resnet18") => Self { depths: vec![2, 2, 2, 2], ..Self::published() },
            Some(other) => {
                let message =
                    format!("`{other}` is not implemented, only `resnet18`, `resnet34` and `resnet34_savi` are");
                return Err(bad("architecture", message));
            }
        };
        let config = Self {
            depths: file.depths.unwrap_or(base.depths),
            width: file.width.unwrap_or(base.width),
            stem_stride: file.stem_stride.unwrap_or(base.stem_stride),
            pool_stride: file.pool_stride.unwrap_or(base.pool_stride),
            norm: file.groups.map_or(base.norm, Norm::Group),
        };
        match config.problem() {
            None => Ok(config),
            Some((field, message)) => Err(bad(field, message)),
        }
    }

    /// Pixels of a picture's side for each position of the features.
    pub fn downscale(&self) -> usize {
        (self.stem_stride * self.pool_stride) << self.depths.len().saturating_sub(1)
    }

    /// Channels of a stage.
    pub fn channels(&self, stage: usize) -> usize {
        self.width << stage
    }

    fn problem(&self) -> Option<(&'static str, String)> {
        let zero = |name, value: usize| (value == 0).then(|| (name, "must not be zero".to_owned()));
        if self.depths.is_empty() || self.depths.contains(&0) || self.depths.len() > 8 {
            let message = "one to eight stages of at least one block are needed".to_owned();
            return Some(("depths", message));
        }
        if let Norm::Group(groups) = self.norm
            && (groups == 0 || !self.width.is_multiple_of(groups))
        {
            let message = format!("{groups} groups do not divide {} channels", self.width);
            return Some(("groups", message));
        }
        zero("width", self.width)
            .or_else(|| zero("stem_stride", self.stem_stride))
            .or_else(|| zero("pool_stride", self.pool_stride))
    }
}
