//! The training set of a run: generations and masks joined and unpacked beside the run.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::image::decode;
use glass_schemas::ids::SampleId;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::latents::LatentEncoder;
use super::memory::oriented;
use super::unpacked::{self, FeatureSource, PICTURES, on};
use super::{Rows, Side, TrainingSet, Visit};
use crate::encoders::Encoder;
use crate::error::{Result, TrainerError};

/// What an unpacked training set holds; written last, so that its presence means completeness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetIndex {
    /// The samples in order: shard by shard, row by row.
    pub samples: Vec<SampleId>,
    /// Weight of each sample's semantic loss.
    pub weights: Vec<f32>,
    /// Where each encoded picture starts in `pictures.bin`; one more entry says where it ends.
    pub offsets: Vec<u64>,
    /// Side of the masks.
    pub mask_side: usize,
    /// `[channels, height, width]` of the stored latents.
    pub latent_shape: [usize; 3],
    /// Tokens and width of the features.
    pub feature_shape: [usize; 2],
    /// How the join went.
    pub join: JoinCount,
}

/// How an inner join went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinCount {
    /// Generated images.
    pub generations: u64,
    /// Pseudo-masks.
    pub masks: u64,
    /// Samples that have both.
    pub joined: u64,
}

impl JoinCount {
    /// The share of generated images that have a mask.
    pub fn coverage(&self) -> f64 {
        self.joined as f64 / self.generations.max(1) as f64
    }
}

/// The masks, one byte a position.
pub(super) const MASKS: &str = "masks.u8";
/// The stored latents.
pub(super) const LATENTS: &str = "latents.f32";

/// An unpacked training set.
pub struct LocalSet {
    index: SetIndex,
    folder: PathBuf,
    pictures: File,
    masks: Rows,
    latents: Rows,
    features: FeatureSource,
    encoded: Option<(LatentEncoder, u64)>,
}

impl LocalSet {
    /// Opens what [`super::prepare`] unpacked; features are computed by `encoder` where one is given.
    ///
    /// # Errors
    /// [`TrainerError::File`], [`TrainerError::State`].
    pub fn open(folder: &Path, encoder: Option<Box<dyn Encoder>>) -> Result<Self> {
        let index: SetIndex = unpacked::index(folder)?;
        let count = index.samples.len();
        let rows = |name: &str, bytes: usize| Rows::open(&folder.join(name), bytes, count);
        let pictures = folder.join(PICTURES);
        Ok(Self {
            masks: rows(MASKS, index.mask_side * index.mask_side)?,
            latents: rows(LATENTS, index.latent_shape.iter().product::<usize>() * 4)?,
            pictures: File::open(&pictures).map_err(TrainerError::file(&pictures))?,
            folder: folder.to_owned(),
            features: FeatureSource::open(folder, encoder, index.feature_shape, count)?,
            encoded: None,
            index,
        })
    }

    /// With latents encoded at every visit instead of the stored ones; `seed` draws their noise.
    pub fn with_encoded_latents(self, encoder: LatentEncoder, seed: u64) -> Self {
        Self { encoded: Some((encoder, seed)), ..self }
    }

    /// What it holds.
    pub fn index(&self) -> &SetIndex {
        &self.index
    }

    /// The picture as the visit sees it.
    ///
    /// # Errors
    /// [`TrainerError::File`]; a picture that cannot be decoded.
    pub fn rgb(&self, visit: &Visit) -> Result<RgbImage> {
        let [start, end] = [0, 1].map(|i| self.index.offsets[visit.sample + i]);
        let mut bytes = vec![0; (end - start) as usize];
        self.pictures.read_exact_at(&mut bytes, start).map_err(TrainerError::file(&self.folder.join(PICTURES)))?;
        let mut picture = decode(&bytes)?;
        if visit.side == Side::Mirrored {
            image::imageops::flip_horizontal_in_place(&mut picture);
        }
        Ok(picture)
    }
}

impl LocalSet {
    fn all_rgb(&self, visits: &[Visit]) -> Result<Vec<RgbImage>> {
        visits.iter().map(|visit| self.rgb(visit)).collect()
    }
}

impl TrainingSet for LocalSet {
    fn len(&self) -> usize {
        self.index.samples.len()
    }

    fn name(&self, sample: usize) -> String {
        self.index.samples[sample].to_string()
    }

    fn feature_shape(&self) -> [usize; 2] {
        self.index.feature_shape
    }

    fn features(&self, visits: &[Visit], device: &Device) -> Result<Tensor<3>> {
        let shape = self.index.feature_shape;
        self.features.of(visits, shape, device, || self.all_rgb(visits))
    }

    fn masks(&self, visits: &[Visit]) -> Result<Vec<u8>> {
        let side = self.index.mask_side;
        let mut all = Vec::with_capacity(visits.len() * side * side);
        for visit in visits {
            let mut mask = Vec::new();
            self.masks.read(visit.sample, &mut mask)?;
            all.extend(oriented(visit, &mask, side, 1));
        }
        Ok(all)
    }

    fn weights(&self, visits: &[Visit]) -> Vec<f32> {
        visits.iter().map(|visit| self.index.weights[visit.sample]).collect()
    }

    fn latents(&self, visits: &[Visit], device: &Device) -> Result<Tensor<4>> {
        if let Some((encoder, seed)) = &self.encoded {
            let noise: Vec<_> = visits.iter().map(|visit| LatentEncoder::stream(*seed, visit)).collect();
            return Ok(on(encoder.encode(&self.all_rgb(visits)?, &noise)?, device));
        }
        let [channels, height, width] = self.index.latent_shape;
        let mut all = Vec::new();
        for visit in visits {
            let mut latent = Vec::new();
            self.latents.read_f32(visit.sample, &mut latent)?;
            all.extend(oriented(visit, &latent, width, 1));
        }
        let shape = [visits.len(), channels, height, width];
        Ok(Tensor::from_data(TensorData::new(all, shape), device))
    }

    fn picture(&self, visit: &Visit) -> Result<RgbImage> {
        self.rgb(visit)
    }
}
