//! `masks`: one pseudo-mask per generated image.

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::common::{class_list, image};
use super::{ClassLabel, EncodedImage, Row, field, list, structure};
use crate::ids::SampleId;

/// The pixel value of "could be either": never a target.
pub const UNCERTAIN: u8 = 255;

/// How far one class's part of a mask can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassQuality {
    /// The class.
    pub class_id: u32,
    /// Largest value of the refined map before min-max, which hides it.
    pub peak: f32,
    /// Share of the image's pixels.
    pub area: f32,
    /// Entropy of the normalised map over its maximum: 0 one point, 1 everywhere.
    pub entropy: f32,
    /// IoU of the class's pixels from even and from odd calls.
    pub agreement: f32,
    /// Whether the caption names the class.
    pub in_caption: bool,
    /// Whether a threshold of the spec removed the class from the mask.
    pub dropped: bool,
}

/// A pseudo-mask and what is known of its quality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskRow {
    /// The generated image.
    pub sample_id: SampleId,
    /// The classes asked for.
    pub classes: Vec<ClassLabel>,
    /// 8-bit grey PNG: a pixel is a class id, 0 the ground, 255 uncertain.
    pub mask: EncodedImage,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The extractor that made it.
    pub extractor: String,
    /// One entry per class, in the order of `classes`.
    pub quality: Vec<ClassQuality>,
    /// Mean agreement over the classes not dropped.
    pub agreement: f32,
}

impl Row for MaskRow {
    const KIND: &'static str = "masks";

    fn fields() -> Vec<Field> {
        let quality = structure(vec![
            field("class_id", DataType::UInt32),
            field("peak", DataType::Float32),
            field("area", DataType::Float32),
            field("entropy", DataType::Float32),
            field("agreement", DataType::Float32),
            field("in_caption", DataType::Boolean),
            field("dropped", DataType::Boolean),
        ]);
        vec![
            field("sample_id", DataType::Utf8),
            field("classes", class_list()),
            image("mask"),
            field("width", DataType::UInt32),
            field("height", DataType::UInt32),
            field("extractor", DataType::Utf8),
            field("quality", list(quality)),
            field("agreement", DataType::Float32),
        ]
    }
}
