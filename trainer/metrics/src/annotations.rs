//! From annotations to the two ground-truth maps of a picture.

use serde::{Deserialize, Serialize};

use crate::polygon::polygon_mask;
use crate::{
    BACKGROUND, Crowds, IGNORE, LabelMap, Mask, MetricsError, OVERLAP, Overlaps, PaintOrder,
    Protocol, Rle, TruthLabels, VoidPixels,
};

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
            Self::Compressed { size, counts } => {
                (size, Rle::from_compressed(counts, size[1], size[0])?)
            }
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

/// The two ground truths of a picture: which object, and which class, each pixel belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundTruth {
    /// Label = place in the annotation list, from 1.
    pub instances: LabelMap,
    /// Label = class.
    pub semantics: LabelMap,
}

impl GroundTruth {
    /// Paints annotations into a picture of `width` × `height` pixels under the rules of
    /// `protocol`; `None` where they leave the picture out. Labels are those of the annotations;
    /// [`GroundTruth::square`] brings them to size.
    pub fn paint(
        protocol: &Protocol,
        width: usize,
        height: usize,
        annotations: &[Annotation],
    ) -> Result<Option<Self>, MetricsError> {
        let crowded = annotations.iter().any(|annotation| annotation.kind == RegionKind::Crowd);
        if crowded && protocol.crowds == Crowds::DropPicture {
            return Ok(None);
        }
        let mut instances = vec![BACKGROUND; width * height];
        let mut semantics = instances.clone();
        let mut covered = vec![0_u8; width * height];
        for (index, annotation) in annotations.iter().enumerate() {
            if annotation.kind == RegionKind::Crowd && protocol.crowds != Crowds::Include {
                continue;
            }
            if annotation.mask.size() != (width, height) {
                return Err(MetricsError::Size {
                    what: "annotation mask",
                    expected: (width, height),
                    found: annotation.mask.size(),
                });
            }
            let instance = label_of(index as u32 + 1)?;
            let category = label_of(u32::from(annotation.category))?;
            for (at, _) in annotation.mask.bits().iter().enumerate().filter(|(_, inside)| **inside)
            {
                if covered[at] == 0 || protocol.paint == PaintOrder::LaterWins {
                    instances[at] = instance;
                    semantics[at] = category;
                }
                covered[at] = covered[at].saturating_add(1);
            }
        }
        mark_overlaps(protocol.overlaps, &covered, &mut instances, &mut semantics);
        Ok(Some(Self {
            instances: LabelMap::new(width, height, instances)?,
            semantics: LabelMap::new(width, height, semantics)?,
        }))
    }

    /// From label maps in which `void` marks undecided pixels (Pascal VOC's 255), under the rules
    /// of `protocol`. A pixel undecided in one map is undecided in both, as instance and class
    /// borders coincide.
    pub fn from_label_maps(
        protocol: &Protocol,
        mut instances: LabelMap,
        mut semantics: LabelMap,
        void: u16,
    ) -> Result<Self, MetricsError> {
        if instances.size() != semantics.size() {
            return Err(MetricsError::Size {
                what: "semantic map",
                expected: instances.size(),
                found: semantics.size(),
            });
        }
        let replacement = match protocol.void {
            VoidPixels::Background => BACKGROUND,
            VoidPixels::Ignore => IGNORE,
            VoidPixels::OwnSegment => OVERLAP,
        };
        for (instance, class) in instances.labels_mut().iter_mut().zip(semantics.labels_mut()) {
            let (undecided_instance, undecided_class) = (*instance == void, *class == void);
            match protocol.void {
                VoidPixels::Background => {
                    if undecided_instance {
                        *instance = replacement;
                    }
                    if undecided_class {
                        *class = replacement;
                    }
                }
                _ if undecided_instance || undecided_class => {
                    *instance = replacement;
                    *class = replacement;
                }
                _ => {}
            }
        }
        Ok(Self { instances, semantics })
    }

    /// Both maps on the evaluated square: resized, centre-cropped, and renumbered where the
    /// protocol asks for it.
    pub fn square(&self, protocol: &Protocol, size: usize) -> Self {
        let bring = |map: &LabelMap| {
            let square = map.square(size, protocol.nearest);
            match protocol.labels {
                TruthLabels::Keep => square,
                TruthLabels::Contiguous => square.contiguous(),
            }
        };
        Self { instances: bring(&self.instances), semantics: bring(&self.semantics) }
    }
}

fn label_of(label: u32) -> Result<u16, MetricsError> {
    match u16::try_from(label) {
        Ok(small) if small < OVERLAP => Ok(small),
        _ => Err(MetricsError::ReservedLabel { label, limit: OVERLAP - 1 }),
    }
}

fn mark_overlaps(rule: Overlaps, covered: &[u8], instances: &mut [u16], semantics: &mut [u16]) {
    let (instance_label, semantic_label) = match rule {
        Overlaps::Keep => return,
        Overlaps::Ignore => (IGNORE, Some(IGNORE)),
        Overlaps::IgnoreInstances => (IGNORE, None),
        Overlaps::OwnSegment => (OVERLAP, Some(OVERLAP)),
    };
    for (at, _) in covered.iter().enumerate().filter(|(_, times)| **times > 1) {
        instances[at] = instance_label;
        if let Some(label) = semantic_label {
            semantics[at] = label;
        }
    }
}
