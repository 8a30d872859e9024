//! A training set held in memory: for tests, benchmarks and data made elsewhere.

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;

use super::{ObjectBox, Side, TrainingSet, Visit, mirror};
use crate::error::{Result, TrainerError};

/// Samples in memory, all of one size.
#[derive(Debug, Clone, Default)]
pub struct MemorySet {
    /// Number of samples.
    pub samples: usize,
    /// Tokens a sample has, and the width of their features.
    pub feature_shape: [usize; 2],
    /// `[samples, tokens, size]` of the plain and of the mirrored pictures.
    pub features: [Vec<f32>; 2],
    /// Side of the masks.
    pub mask_side: usize,
    /// `[samples, mask_side²]`
    pub masks: Vec<u8>,
    /// `[channels, height, width]` of a latent.
    pub latent_shape: [usize; 3],
    /// `[samples, channels, height, width]`
    pub latents: Vec<f32>,
    /// Side of the pictures.
    pub picture_side: usize,
    /// `[samples, picture_side², 3]`
    pub pictures: Vec<u8>,
    /// Boxes of each sample's objects; empty where there are no annotations.
    pub boxes: Vec<Vec<ObjectBox>>,
}

impl MemorySet {
    fn gather<T: Copy>(&self, visits: &[Visit], size: usize, of: impl Fn(&Visit) -> Vec<T>) -> Vec<T> {
        let mut all = Vec::with_capacity(visits.len() * size);
        for visit in visits {
            all.extend(of(visit));
        }
        all
    }
}

impl TrainingSet for MemorySet {
    fn len(&self) -> usize {
        self.samples
    }

    fn feature_shape(&self) -> [usize; 2] {
        self.feature_shape
    }

    fn features(&self, visits: &[Visit], device: &Device) -> Result<Tensor<3>> {
        let [tokens, size] = self.feature_shape;
        let row = tokens * size;
        let numbers =
            self.gather(visits, row, |visit| self.features[visit.side as usize][visit.sample * row..][..row].to_vec());
        Ok(Tensor::from_data(TensorData::new(numbers, [visits.len(), tokens, size]), device))
    }

    fn masks(&self, visits: &[Visit]) -> Result<Vec<u8>> {
        let row = self.mask_side * self.mask_side;
        Ok(self
            .gather(visits, row, |visit| oriented(visit, &self.masks[visit.sample * row..][..row], self.mask_side, 1)))
    }

    fn weights(&self, visits: &[Visit]) -> Vec<f32> {
        vec![1.0; visits.len()]
    }

    fn latents(&self, visits: &[Visit], device: &Device) -> Result<Tensor<4>> {
        let [channels, height, width] = self.latent_shape;
        let row = channels * height * width;
        if self.latents.len() != self.samples * row {
            return Err(TrainerError::state("latents", "this set has none"));
        }
        let numbers =
            self.gather(visits, row, |visit| oriented(visit, &self.latents[visit.sample * row..][..row], width, 1));
        Ok(Tensor::from_data(TensorData::new(numbers, [visits.len(), channels, height, width]), device))
    }

    fn boxes(&self, visits: &[Visit]) -> Result<Vec<Vec<ObjectBox>>> {
        let none = || TrainerError::state("boxes", "this set has none");
        let seen = |object: &ObjectBox, side| match side {
            Side::Plain => *object,
            Side::Mirrored => object.mirrored(),
        };
        let of = |visit: &Visit| {
            let boxes = self.boxes.get(visit.sample).ok_or_else(none)?;
            Ok(boxes.iter().map(|object| seen(object, visit.side)).collect())
        };
        visits.iter().map(of).collect()
    }

    fn picture(&self, visit: &Visit) -> Result<RgbImage> {
        let (side, row) = (self.picture_side, self.picture_side * self.picture_side * 3);
        self.pictures
            .get(visit.sample * row..(visit.sample + 1) * row)
            .map(|picture| oriented(visit, picture, side, 3))
            .and_then(|picture| RgbImage::from_raw(side as u32, side as u32, picture))
            .ok_or_else(|| TrainerError::state("pictures", "this set has none"))
    }
}

/// Values as the visit sees them.
pub(super) fn oriented<T: Copy>(visit: &Visit, values: &[T], width: usize, channels: usize) -> Vec<T> {
    match visit.side {
        Side::Plain => values.to_vec(),
        Side::Mirrored => mirror(values, width, channels),
    }
}
