//! Drawings → rows of both datasets.

use std::io::Cursor;

use arrow::array::RecordBatch;
use glass_nets::unet::capture;
use glass_schemas::dataset::{AttentionMap, AttentionRow, EncodedImage, GenerationRow, MapKind, Part, Row};
use glass_schemas::spec::ImageFormat;
use glass_stage::StageError;
use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;

use crate::draw::{Drawing, Request};

/// The attention batch, then the generations batch.
pub(crate) fn encode(
    drawn: Vec<(Request, Drawing)>,
    seed: u64,
    format: ImageFormat,
) -> Result<Vec<RecordBatch>, StageError> {
    let mut attention = Vec::with_capacity(drawn.len());
    let mut generations = Vec::with_capacity(drawn.len());
    for (request, mut drawing) in drawn {
        let maps = std::mem::take(&mut drawing.maps);
        attention.push(attention_row(&request, &drawing.image, maps));
        generations.push(generation_row(request, drawing, seed, format)?);
    }
    Ok(vec![AttentionRow::encode(&attention)?, GenerationRow::encode(&generations)?])
}

fn attention_row(request: &Request, image: &RgbImage, maps: Vec<capture::CapturedMap>) -> AttentionRow {
    let map = |map: capture::CapturedMap| AttentionMap {
        kind: match map.kind {
            capture::MapKind::Cross => MapKind::Cross,
            capture::MapKind::SelfAttention => MapKind::SelfAttention,
        },
        resolution: map.resolution as u32,
        part: match map.part {
            capture::Part::All => Part::All,
            capture::Part::Even => Part::Even,
            capture::Part::Odd => Part::Odd,
        },
        weight: map.calls as u32,
        values: map.values,
    };
    AttentionRow {
        sample_id: request.sample_id,
        caption: request.caption.caption.clone(),
        width: image.width(),
        height: image.height(),
        classes: request.caption.classes.clone(),
        maps: maps.into_iter().map(map).collect(),
    }
}

fn generation_row(
    request: Request,
    drawing: Drawing,
    seed: u64,
    format: ImageFormat,
) -> Result<GenerationRow, StageError> {
    let (bytes, ending) = compress(&drawing.image, format)
        .map_err(|e| StageError::Encode(format!("compressing image {}: {e}", request.sample_id).into()))?;
    Ok(GenerationRow {
        sample_id: request.sample_id,
        source_id: request.caption.sample_id,
        source_uri: request.caption.source_uri,
        replicate: request.replicate,
        seed,
        caption: request.caption.caption,
        classes: request.caption.classes,
        prompt: request.caption.prompt,
        image: EncodedImage { bytes, path: format!("{}.{ending}", request.sample_id) },
        width: drawing.image.width(),
        height: drawing.image.height(),
        latent: drawing.latent,
        latent_shape: drawing.latent_shape.map(|side| side as u32).to_vec(),
    })
}

fn compress(image: &RgbImage, format: ImageFormat) -> Result<(Vec<u8>, &'static str), image::ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Png => {
            let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
            image.write_with_encoder(encoder)?;
            Ok((bytes.into_inner(), "png"))
        }
        ImageFormat::Webp => {
            image.write_with_encoder(WebPEncoder::new_lossless(&mut bytes))?;
            Ok((bytes.into_inner(), "webp"))
        }
    }
}
