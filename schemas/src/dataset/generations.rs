//! `generations`: one row per generated image.

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::common::{class_list, image};
use super::{ClassLabel, EncodedImage, Row, field, list};
use crate::ids::SampleId;

/// A generated image with its clean latent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerationRow {
    /// H(source digest ‖ prompt ‖ replicate).
    pub sample_id: SampleId,
    /// The real image whose caption was drawn.
    pub source_id: SampleId,
    /// Where that image was read.
    pub source_uri: String,
    /// Number of this drawing of the prompt, from 0.
    pub replicate: u32,
    /// The run seed; with `sample_id` it names the noise.
    pub seed: u64,
    /// Caption of the real image.
    pub caption: String,
    /// Classes asked for.
    pub classes: Vec<ClassLabel>,
    /// What was drawn.
    pub prompt: String,
    /// The picture.
    pub image: EncodedImage,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Clean latent after the last step, scaled as the UNet sees it, `latent_shape` row-major.
    pub latent: Vec<f32>,
    /// [channels, height, width].
    pub latent_shape: Vec<u32>,
}

impl Row for GenerationRow {
    const KIND: &'static str = "generations";

    fn fields() -> Vec<Field> {
        vec![
            field("sample_id", DataType::Utf8),
            field("source_id", DataType::Utf8),
            field("source_uri", DataType::Utf8),
            field("replicate", DataType::UInt32),
            field("seed", DataType::UInt64),
            field("caption", DataType::Utf8),
            field("classes", class_list()),
            field("prompt", DataType::Utf8),
            image("image"),
            field("width", DataType::UInt32),
            field("height", DataType::UInt32),
            field("latent", list(DataType::Float32)),
            field("latent_shape", list(DataType::UInt32)),
        ]
    }
}
