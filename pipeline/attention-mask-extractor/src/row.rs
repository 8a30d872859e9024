//! Rows of the two datasets and what the extractor knows between them.

use std::borrow::Cow;
use std::io::Cursor;

use glass_schemas::dataset::{AttentionRow, ClassQuality, EncodedImage, MapKind, MaskRow, Part};
use image::{DynamicImage, GrayImage, ImageFormat};

use crate::caption::names;
use crate::extractors::{Extractor, Needs};
use crate::refine::Plane;
use crate::{Attention, Cutting, Dropped, ExtractError, Extraction, Parts, extract};

/// Masks of one spec: attention rows in, mask rows out.
pub struct MaskMaker {
    /// From attention to heat maps.
    pub extractor: Box<dyn Extractor>,
    /// From heat maps to labels.
    pub cutting: Cutting,
    /// Side of the masks in pixels; `None` takes the image's size.
    pub side: Option<u32>,
}

impl MaskMaker {
    /// The mask of one sample.
    ///
    /// # Errors
    /// As [`extract`]; [`ExtractError::Png`].
    pub fn make(&self, row: AttentionRow) -> Result<MaskRow, ExtractError> {
        let (width, height) = match self.side {
            Some(side) => (side, side),
            None => (row.width, row.height),
        };
        let size = Plane { width: width as usize, height: height as usize };
        let ids: Vec<u32> = row.classes.iter().map(|class| class.id).collect();
        let parts = parts(&row, &self.extractor.needs())?;
        let extraction = extract(self.extractor.as_ref(), &self.cutting, &parts, &ids, size)?;
        let quality = quality(&row, &extraction);
        let bytes = png(width, height, extraction.labels)?;
        Ok(MaskRow {
            sample_id: row.sample_id,
            mask: EncodedImage { bytes, path: format!("{}.png", row.sample_id) },
            classes: row.classes,
            width,
            height,
            extractor: self.extractor.describe(),
            quality,
            agreement: extraction.agreement,
        })
    }
}

/// The maps an extractor needs, over all calls and, where both are stored, over even and odd ones.
fn parts(row: &AttentionRow, needs: &Needs) -> Result<Parts<'static>, ExtractError> {
    let all = attention(row, needs, Part::All)?;
    let halves = match [Part::Even, Part::Odd].map(|part| attention(row, needs, part)) {
        [Ok(even), Ok(odd)] => Some([even, odd]),
        _ => None,
    };
    Ok(Parts { all, halves })
}

fn attention(row: &AttentionRow, needs: &Needs, part: Part) -> Result<Attention<'static>, ExtractError> {
    let find = |kind: MapKind, name: &'static str, resolution: u32| {
        row.map(kind, resolution, part).map(Cow::Owned).ok_or_else(|| ExtractError::MissingMap {
            kind: name,
            resolution,
            stored: row.resolutions(kind),
        })
    };
    let mut attention = Attention::new(row.classes.len());
    for &resolution in &needs.cross {
        let map = find(MapKind::Cross, "cross-attention", resolution)?;
        attention.insert_cross(resolution, map)?;
    }
    if let Some(resolution) = needs.self_attention {
        let map = find(MapKind::SelfAttention, "self-attention", resolution)?;
        attention.insert_self(resolution, map)?;
    }
    Ok(attention)
}

fn quality(row: &AttentionRow, extraction: &Extraction) -> Vec<ClassQuality> {
    let classes = row.classes.iter().zip(&extraction.quality);
    classes
        .map(|(class, quality)| ClassQuality {
            class_id: class.id,
            peak: quality.peak,
            area: quality.area,
            entropy: quality.entropy,
            agreement: quality.agreement,
            in_caption: names(&row.caption, &class.name),
            dropped: quality.dropped == Dropped::Yes,
        })
        .collect()
}

fn png(width: u32, height: u32, labels: Vec<u8>) -> Result<Vec<u8>, ExtractError> {
    let size = ExtractError::Size { width, height };
    let grey = GrayImage::from_raw(width, height, labels).ok_or(size)?;
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(grey)
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| ExtractError::Png(error.to_string()))?;
    Ok(bytes.into_inner())
}
