//! One picture: its name, its size, its regions.

use std::path::{Path, PathBuf};

use glass_metrics::{Annotation, Mask, RegionKind, Segmentation};

use super::error::{DataError, Result};

/// One annotated picture.
#[derive(Debug, Default)]
pub struct Picture {
    /// Id in the annotation file; its place where there are no ids.
    pub id: i64,
    /// Name in its set; the subject of everything random about this picture.
    pub name: String,
    /// Width in pixels, as the annotations say; 0 where a picture without annotations has not been opened.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Place in its set.
    pub(super) place: usize,
    /// Row in its tables, where it is one.
    pub(super) row: usize,
    /// Keys of the files it consists of.
    pub(super) files: PictureFiles,
    /// Left, top, width and height of what is used of the stored picture, and the stored size.
    pub(super) window: Option<[usize; 4]>,
    pub(super) stored: Option<(usize, usize)>,
    pub(super) regions: Vec<Region>,
}

/// Keys of a picture's files; empty where there is none.
#[derive(Debug, Default)]
pub(super) struct PictureFiles {
    pub picture: String,
    pub instances: String,
    pub classes: String,
}

/// One annotated region.
#[derive(Debug)]
pub(super) struct Region {
    /// Place in the file's `annotations`, for messages.
    pub index: usize,
    pub category: u16,
    pub kind: RegionKind,
    pub shape: Shape,
    /// Left, top, width and height in pixels, where the file says them.
    pub bounds: Option<[f64; 4]>,
}

/// How a region is drawn.
#[derive(Debug)]
pub(super) enum Shape {
    Segmentation(Segmentation),
    /// Left, top, width and height: the whole box.
    Box([f64; 4]),
}

/// A box around an object, in pixels of its picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelBox {
    /// Left, top, right, bottom.
    pub corners: [f64; 4],
    /// Class, from 1.
    pub class: u16,
}

impl Picture {
    /// A picture that is a row of a table.
    pub(super) fn of_row(row: usize) -> Self {
        Self { row, ..Self::default() }
    }

    /// That row.
    pub(super) fn stored_row(&self) -> usize {
        self.row
    }

    /// Whether all of the stored picture is used.
    pub fn is_whole(&self) -> bool {
        self.window.is_none()
    }

    /// Width and height of the picture as it is stored.
    pub(super) fn stored_size(&self) -> (usize, usize) {
        self.stored.unwrap_or((self.width, self.height))
    }

    /// Where its size comes from: its own map where it has one.
    pub(super) fn sized_by(&self, annotations: &Path) -> PathBuf {
        let maps = [&self.files.instances, &self.files.classes];
        maps.into_iter().find(|key| !key.is_empty()).map_or_else(|| annotations.to_owned(), PathBuf::from)
    }

    /// Whether an object is annotated, crowds not counted.
    pub(super) fn has_object(&self) -> bool {
        self.regions.iter().any(|region| region.kind == RegionKind::Object)
    }

    /// The masks of its regions.
    pub(super) fn masks(&self, file: &Path) -> Result<Vec<Annotation>> {
        let decode = |region: &Region| {
            let mask = self.mask(region).map_err(|problem| self.refuse(file, region, problem))?;
            Ok(Annotation { category: region.category, kind: region.kind, mask })
        };
        self.regions.iter().map(decode).collect()
    }

    fn mask(&self, region: &Region) -> std::result::Result<Mask, String> {
        match &region.shape {
            Shape::Segmentation(segmentation) => {
                segmentation.mask(self.width, self.height).map_err(|error| error.to_string())
            }
            Shape::Box(bounds) => Ok(Mask::of_box(self.width, self.height, corners(*bounds))),
        }
    }

    fn refuse(&self, file: &Path, region: &Region, problem: String) -> DataError {
        let field = match region.shape {
            Shape::Segmentation(_) => "segmentation",
            Shape::Box(_) => "bbox",
        };
        super::instances::refuse(
            file,
            format!("annotations[{}].{field}", region.index),
            format!("of picture `{}`: {problem}", self.name),
        )
    }

    /// Its boxes: those the file says, otherwise those around the masks.
    pub(super) fn boxes(&self, file: &Path) -> Result<Vec<PixelBox>> {
        let (width, height) = (self.width as f64, self.height as f64);
        let mut boxes = Vec::new();
        for region in self.regions.iter().filter(|region| region.kind == RegionKind::Object) {
            let Some([x, y, w, h]) = region.bounds else {
                let mask = self.mask(region).map_err(|problem| self.refuse(file, region, problem))?;
                let annotation = Annotation { category: region.category, kind: region.kind, mask };
                boxes.extend(boxes_of(&[annotation]));
                continue;
            };
            let inside = |start: f64, length: f64, side: f64| (start + length).min(side) - start.max(0.0);
            if w >= 1.0 && h >= 1.0 && inside(x, w, width) > 0.0 && inside(y, h, height) > 0.0 {
                boxes.push(PixelBox { corners: corners([x, y, w, h]), class: region.category });
            }
        }
        Ok(boxes)
    }
}

impl Region {
    /// Whether only a box was drawn.
    pub(super) fn is_box(&self) -> bool {
        matches!(self.shape, Shape::Box(_))
    }
}

/// Left, top, right, bottom of left, top, width, height.
fn corners([x, y, width, height]: [f64; 4]) -> [f64; 4] {
    [x, y, x + width, y + height]
}

/// The boxes around objects' masks.
pub(super) fn boxes_of(objects: &[Annotation]) -> Vec<PixelBox> {
    let objects = objects.iter().filter(|object| object.kind == RegionKind::Object);
    let bounds = objects.filter_map(|object| Some((object.category, object.mask.bounds()?)));
    bounds
        .map(|(class, bounds)| {
            let [x, y, width, height] = [bounds.x, bounds.y, bounds.width, bounds.height].map(|side| side as f64);
            PixelBox { corners: corners([x, y, width, height]), class }
        })
        .collect()
}
