//! Annotations of a picture, as COCO writes them.

use serde::{Deserialize, Serialize};

use crate::polygon::polygon_mask;
use crate::{Mask, MetricsError, Rle};

/// The `segmentation` of a COCO annotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Segmentation {
    /// Outlines `[x1, y1, x2, y2, …]` in pixels; the object is their union.
    Polygons(Vec<Vec<f64>>),
    /// Run lengths as COCO packs them into text.
    Compressed {
        /// Height and width in pixels.
        size: [usize; 2],
        /// Packed run lengths.
        counts: String,
    },
    /// Run lengths as numbers.
    Counts {
        /// Height and width in pixels.
        size: [usize; 2],
        /// Run lengths, background first.
        counts: Vec<u32>,
    },
}

impl Segmentation {
    /// The mask in a picture of `width` × `height` pixels, equal to pycocotools' for all three
    /// forms.
    pub fn mask(&self, width: usize, height: usize) -> Result<Mask, MetricsError> {
        let (size, rle) = match self {
            Self::Polygons(polygons) => {
                let mut mask = Mask::empty(width, height);
                for polygon in polygons {
                    mask.unite(&polygon_mask(polygon, width, height)?)?;
                }
                return Ok(mask);
            }
            Self::Compressed { size, counts } => (size, Rle::from_compressed(counts, size[1], size[0])?),
            Self::Counts { size, counts } => (size, Rle::new(counts.clone(), size[1], size[0])?),
        };
        if *size != [height, width] {
            return Err(MetricsError::Size {
                what: "segmentation",
                expected: (width, height),
                found: (size[1], size[0]),
            });
        }
        Ok(rle.decode())
    }
}

/// Whether an annotation is one object or a region of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionKind {
    /// One object.
    Object,
    /// Several objects in one region, or one that is marked to be ignored.
    Crowd,
}

/// One annotation of a picture, in the order of the annotation file.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Class, from 1.
    pub category: u16,
    /// Object or crowd.
    pub kind: RegionKind,
    /// Its pixels.
    pub mask: Mask,
}
