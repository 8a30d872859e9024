//! What `preprocessor_config.json` asks for.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::{Filter, center_crop, resize};
use crate::config;
use crate::error::{NetsError, Result};

/// How the size of a picture is brought to the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resize {
    /// To this width and height, whatever the picture's proportions.
    Exact {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The shorter side to this length, the longer in proportion and rounded down.
    ShortestEdge(u32),
}

/// The way from a decoded picture to `pixel_values`, as transformers' image processors do it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageProcessor {
    /// The resize, with its filter.
    pub resize: Option<(Resize, Filter)>,
    /// Width and height of the crop from the middle after the resize.
    pub crop: Option<(u32, u32)>,
    /// What a byte is multiplied with.
    pub rescale: f64,
    /// The mean of red, green and blue that is taken away after that.
    pub mean: [f32; 3],
    /// The standard deviation that is divided by at last.
    pub std: [f32; 3],
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct PreprocessorConfig {
    do_resize: bool,
    size: Value,
    resample: u64,
    do_center_crop: bool,
    crop_size: Value,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: [f32; 3],
    image_std: [f32; 3],
    image_processor_type: String,
}

impl Default for PreprocessorConfig {
    fn default() -> Self {
        Self {
            do_resize: true,
            size: Value::Null,
            resample: 3,
            do_center_crop: false,
            crop_size: Value::Null,
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
            image_processor_type: String::new(),
        }
    }
}

impl ImageProcessor {
    /// Reads `preprocessor_config.json` in a checkpoint's folder.
    ///
    /// # Errors
    /// [`NetsError::Read`] or [`NetsError::Config`], naming the field.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join("preprocessor_config.json");
        let raw: PreprocessorConfig = config::read(&path)?;
        let bad = |field: &str, value: &dyn std::fmt::Display| NetsError::Config {
            path: path.clone(),
            field: field.to_owned(),
            message: format!("cannot use {value}"),
        };
        let filter = Filter::from_number(raw.resample).ok_or_else(|| bad("resample", &raw.resample))?;
        // A bare number means a square to BLIP's processor and the shorter edge to the others.
        let square = raw.image_processor_type.starts_with("Blip") && raw.size.is_u64();
        let size = raw.do_resize.then(|| parse_size(&raw.size).ok_or_else(|| bad("size", &raw.size))).transpose()?.map(
            |size| match size {
                Resize::ShortestEdge(side) if square => Resize::Exact { width: side, height: side },
                size => size,
            },
        );
        let crop = match raw.do_center_crop {
            true => match parse_size(&raw.crop_size) {
                Some(Resize::Exact { width, height }) => Some((width, height)),
                Some(Resize::ShortestEdge(side)) => Some((side, side)),
                None => return Err(bad("crop_size", &raw.crop_size)),
            },
            false => None,
        };
        Ok(Self {
            resize: size.map(|size| (size, filter)),
            crop,
            rescale: if raw.do_rescale { raw.rescale_factor } else { 1.0 },
            mean: if raw.do_normalize { raw.image_mean } else { [0.0; 3] },
            std: if raw.do_normalize { raw.image_std } else { [1.0; 3] },
        })
    }

    /// Squares of this side within [−1, 1]: a bilinear resize, mean and deviation one half. What networks
    /// see that are trained from nothing.
    pub fn centred(side: u32) -> Self {
        let size = Resize::Exact { width: side, height: side };
        Self { resize: Some((size, Filter::Bilinear)), crop: None, rescale: 1.0 / 255.0, mean: [0.5; 3], std: [0.5; 3] }
    }

    /// The same without resize and crop, for pictures that are already fitted.
    #[must_use]
    pub fn fitted(self) -> Self {
        Self { resize: None, crop: None, ..self }
    }

    /// The same processor for square pictures of another size: the resize becomes exact, nothing is cropped.
    pub fn with_size(mut self, side: u32) -> Self {
        let filter = self.resize.map_or(Filter::Bicubic, |(_, filter)| filter);
        self.resize = Some((Resize::Exact { width: side, height: side }, filter));
        self.crop = None;
        self
    }

    /// Resizes and crops, still in bytes.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the resized picture would be unreasonably large, as for a picture of one
    /// pixel by ten thousand.
    pub fn fit(&self, picture: &RgbImage) -> Result<RgbImage> {
        let resized = match self.resize {
            None => picture.clone(),
            Some((Resize::Exact { width, height }, filter)) => resize(picture, width, height, filter)?,
            Some((Resize::ShortestEdge(side), filter)) => {
                let (width, height) = in_proportion(picture.width(), picture.height(), side);
                resize(picture, width, height, filter)?
            }
        };
        Ok(match self.crop {
            Some((width, height)) => center_crop(&resized, width, height),
            None => resized,
        })
    }

    /// One picture as `[3, height, width]` values.
    ///
    /// # Errors
    /// As [`ImageProcessor::fit`].
    pub fn values(&self, picture: &RgbImage) -> Result<Vec<f32>> {
        Ok(self.normalise(&self.fit(picture)?))
    }

    /// Several pictures as `[pictures, 3, height, width]`; they must come out at one size.
    ///
    /// # Errors
    /// As [`ImageProcessor::fit`], and [`NetsError::Input`] for no pictures or different sizes.
    pub fn batch(&self, pictures: &[RgbImage], device: &Device) -> Result<Tensor<4>> {
        let fitted = pictures.par_iter().map(|picture| self.fit(picture)).collect::<Result<Vec<_>>>()?;
        let Some((width, height)) = fitted.first().map(RgbImage::dimensions) else {
            return Err(NetsError::input("a batch needs at least one picture"));
        };
        if let Some(other) = fitted.iter().find(|other| other.dimensions() != (width, height)) {
            let (w, h) = other.dimensions();
            return Err(NetsError::input(format!("pictures of {width}x{height} and {w}x{h} do not fit one batch")));
        }
        let values: Vec<f32> = fitted.par_iter().flat_map_iter(|picture| self.normalise(picture)).collect();
        let shape = [pictures.len(), 3, height as usize, width as usize];
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    fn normalise(&self, picture: &RgbImage) -> Vec<f32> {
        let pixels = picture.as_raw().as_chunks::<3>().0;
        let mut out = Vec::with_capacity(pixels.len() * 3);
        for channel in 0..3 {
            // transformers multiplies in f64, rounds to f32 and normalises in f32.
            let table: Vec<f32> = (0..=u8::MAX)
                .map(|byte| ((f64::from(byte) * self.rescale) as f32 - self.mean[channel]) / self.std[channel])
                .collect();
            out.extend(pixels.iter().map(|pixel| table[usize::from(pixel[channel])]));
        }
        out
    }
}

/// Reads `224`, `{"shortest_edge": 224}` or `{"height": 224, "width": 224}`.
fn parse_size(size: &Value) -> Option<Resize> {
    let side = |value: &Value| value.as_u64().and_then(|v| u32::try_from(v).ok()).filter(|v| *v > 0);
    match (side(size), size.get("shortest_edge"), size.get("height"), size.get("width")) {
        (Some(side), ..) => Some(Resize::ShortestEdge(side)),
        (None, Some(edge), ..) => side(edge).map(Resize::ShortestEdge),
        (None, None, Some(height), Some(width)) => Some(Resize::Exact { width: side(width)?, height: side(height)? }),
        _ => None,
    }
}

fn in_proportion(width: u32, height: u32, short: u32) -> (u32, u32) {
    let long = |long: u32, edge: u32| {
        // Upstream computes `int(size * long / short)` in floating point.
        (f64::from(short) * f64::from(long) / f64::from(edge)) as u32
    };
    match width <= height {
        true => (short, long(height, width)),
        false => (long(width, height), short),
    }
}
