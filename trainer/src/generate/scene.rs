//! A validation picture with its slots.

use burn::tensor::Tensor;
use glass_metrics::{LabelMap, Protocol};
use glass_schemas::spec::evaluation::MaskSource;
use image::RgbImage;

use crate::data::ObjectBox;
use crate::data::annotated::DataError;
use crate::eval::EvalError;
use crate::eval::annotations::Picture;
use crate::eval::boxes::boxes;
use crate::eval::coco::ValidationSet;
use crate::eval::masks::soft_to_labels;
use crate::eval::model::{Encoder, SlotModel, Told};
use crate::eval::picture::View;
use crate::eval::predict::{noise, source_masks};

/// A picture and what slot attention finds in it.
pub struct Scene {
    /// Its name in the data set.
    pub name: String,
    /// As the encoder saw it.
    pub pixels: RgbImage,
    /// `[slots, dim]`
    pub slots: Tensor<2>,
    /// The same before their output layer, `[slots, size]`.
    pub raw: Tensor<2>,
    /// Slot of every pixel, at the size of `pixels`.
    pub masks: LabelMap,
}

/// Networks and settings that turn pictures into [`Scene`]s.
pub struct SceneReader<'a> {
    /// The data.
    pub data: &'a ValidationSet,
    /// Size and resampling of what the encoder sees.
    pub protocol: &'a Protocol,
    /// Frozen encoder.
    pub encoder: &'a dyn Encoder,
    /// Slots.
    pub model: &'a dyn SlotModel,
    /// Slots a picture.
    pub slots: usize,
    /// Seed of their initial noise.
    pub seed: u64,
    /// Which masks tell a slot's pixels; those of slot attention where the method has no such.
    pub masks: MaskSource,
}

impl SceneReader<'_> {
    /// A picture as the encoder sees it.
    ///
    /// # Errors
    /// Where it cannot be decoded.
    pub fn square(&self, entry: &Picture) -> Result<RgbImage, EvalError> {
        let pixels = self.data.decode(entry)?;
        View::of(self.protocol)
            .square(&pixels)
            .map_err(|source| DataError::Picture { path: self.data.path(entry), source }.into())
    }

    /// Reads a batch of pictures.
    ///
    /// # Errors
    /// The first picture that cannot be used.
    pub fn read(&self, pictures: &[&Picture]) -> Result<Vec<Scene>, EvalError> {
        if pictures.is_empty() {
            return Ok(Vec::new());
        }
        let squares: Vec<RgbImage> = pictures.iter().map(|picture| self.square(picture)).collect::<Result<_, _>>()?;
        let features = self.encoder.features(&squares)?;
        let names: Vec<&str> = pictures.iter().map(|picture| picture.name.as_str()).collect();
        let device = features.device();
        let initial = noise(&names, self.seed, self.slots, self.model.noise_dim(), &device);
        let found = match self.model.told() {
            Told::Nothing => self.model.attend(features, initial),
            Told::Boxes => {
                let boxes = pictures.iter().map(|entry| self.boxes(entry)).collect::<Result<Vec<_>, _>>()?;
                self.model.attend_told(features, initial, &boxes)
            }
        };
        let side = self.protocol.input_size as usize;
        let soft = source_masks(self.model, &found, self.masks).unwrap_or(found.attention);
        let [_, _, positions] = soft.dims();
        let grid = positions.isqrt();
        let soft = soft.into_data().try_to_vec::<f32>();
        let soft = soft.map_err(|error| EvalError::Shape(format!("{error:?}")))?;
        let each = self.slots * positions;
        Ok(squares
            .into_iter()
            .zip(names)
            .enumerate()
            .map(|(at, (pixels, name))| Scene {
                name: name.to_owned(),
                pixels,
                slots: found.slots.clone().narrow(0, at, 1).squeeze_dim(0),
                raw: found.raw.clone().narrow(0, at, 1).squeeze_dim(0),
                masks: soft_to_labels(&soft[at * each..(at + 1) * each], self.slots, grid, side),
            })
            .collect())
    }

    fn boxes(&self, entry: &Picture) -> Result<Vec<ObjectBox>, EvalError> {
        let found = self.data.annotations().boxes(entry)?;
        Ok(boxes(&found, [entry.width, entry.height], View::of(self.protocol)))
    }
}
