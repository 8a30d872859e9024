//! COCO's annotation file: pictures and their regions. Objects365 writes the same file with boxes alone.

use std::collections::BTreeMap;
use std::path::Path;

use glass_metrics::{RegionKind, Segmentation};
use glass_schemas::spec::EmptyPictures;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::error::{DataError, Faults, Result};
use super::picture::{Picture, PictureFiles, Region, Shape};
use super::{Annotations, Labels};

/// Pixels of the largest picture that is believed: a wrong digit in a file must not take all memory.
const LARGEST_PICTURE: usize = 1 << 28;

/// Where the picture of each id is among those that are kept; `None` beyond the limit.
type Places = BTreeMap<i64, Option<usize>>;

#[derive(Deserialize)]
struct File {
    images: Vec<ImageEntry>,
    annotations: Vec<AnnotationEntry>,
    categories: Vec<CategoryEntry>,
}

#[derive(Deserialize)]
struct ImageEntry {
    id: i64,
    file_name: String,
    width: usize,
    height: usize,
}

#[derive(Deserialize)]
struct AnnotationEntry {
    image_id: i64,
    category_id: i64,
    #[serde(default, deserialize_with = "optional")]
    segmentation: Option<Segmentation>,
    #[serde(default)]
    bbox: Option<[f64; 4]>,
    #[serde(default)]
    iscrowd: Flag,
    /// The evaluation code of GLASS and SlotDiffusion leaves these out as it does crowds.
    #[serde(default)]
    ignore: Flag,
}

#[derive(Deserialize)]
struct CategoryEntry {
    id: i64,
    name: String,
}

/// Written as a number by COCO, as a truth value by others.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Number(u8),
    Truth(bool),
}

impl Default for Flag {
    fn default() -> Self {
        Self::Truth(false)
    }
}

impl Flag {
    fn is_set(&self) -> bool {
        !matches!(self, Self::Number(0) | Self::Truth(false))
    }
}

/// Reads a segmentation, or says what one looks like.
///
/// # Errors
/// The deserializer's.
pub fn segmentation<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Segmentation, D::Error> {
    Segmentation::deserialize(deserializer).map_err(|error| {
        if error.to_string().starts_with("data did not match") {
            D::Error::custom(
                "`segmentation` is neither a list of outlines [x1, y1, x2, y2, …] nor {size: [height, width], counts}",
            )
        } else {
            error
        }
    })
}

fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Segmentation>, D::Error> {
    segmentation(deserializer).map(Some)
}

/// What a region of the file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Drawn {
    /// Its `segmentation`.
    #[default]
    Segmented,
    /// Its `bbox`, painted.
    Boxed,
}

/// How a file is read.
pub(super) struct Reading<'a> {
    /// What messages call it.
    pub path: &'a Path,
    pub drawn: Drawn,
    pub limit: Option<u64>,
    pub empty: EmptyPictures,
}

impl Default for Reading<'_> {
    fn default() -> Self {
        Self { path: Path::new(""), drawn: Drawn::Segmented, limit: None, empty: EmptyPictures::Keep }
    }
}

impl Reading<'_> {
    /// The pictures of a file with their regions.
    ///
    /// # Errors
    /// [`DataError::Json`]; what `faults` does not take.
    pub fn annotations(&self, text: &[u8], faults: &mut Faults) -> Result<Annotations> {
        let file: File =
            serde_json::from_slice(text).map_err(|source| DataError::Json { path: self.path.to_owned(), source })?;
        // The evaluation codes number classes by their ids; COCO's own file is in that order already.
        let mut categories = file.categories;
        categories.sort_by_key(|entry| entry.id);
        if file.images.is_empty() {
            faults.push(no_picture(self.path))?;
        }
        let (mut pictures, places) = self.pictures(file.images, faults)?;
        let classes: BTreeMap<i64, u16> =
            categories.iter().enumerate().map(|(index, entry)| (entry.id, index as u16 + 1)).collect();
        for (index, entry) in file.annotations.into_iter().enumerate() {
            match self.region(index, entry, &places, &classes) {
                Ok(Some((place, region))) => pictures[place].regions.push(region),
                Ok(None) => {}
                Err(error) => faults.push(error)?,
            }
        }
        if self.empty == EmptyPictures::Drop && !pictures.is_empty() {
            pictures.retain(Picture::has_object);
            if pictures.is_empty() {
                let problem = "lists no picture with an object, and `empty` is `drop`".into();
                faults.push(refuse(self.path, "images".into(), problem))?;
            }
        }
        if pictures.is_empty() && matches!(faults, Faults::Refuse) {
            return Err(no_picture(self.path));
        }
        for (place, picture) in pictures.iter_mut().enumerate() {
            picture.place = place;
        }
        let classes = categories.into_iter().map(|entry| entry.name).collect();
        Ok(Annotations { name: self.path.to_owned(), pictures, classes, labels: Labels::Regions })
    }

    /// The pictures that are kept, and the place of every id; `None` beyond the limit.
    fn pictures(&self, entries: Vec<ImageEntry>, faults: &mut Faults) -> Result<(Vec<Picture>, Places)> {
        let mut places = BTreeMap::new();
        let mut pictures: Vec<Picture> = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let ImageEntry { id, file_name, width, height } = entry;
            if !width.checked_mul(height).is_some_and(|pixels| (1..=LARGEST_PICTURE).contains(&pixels)) {
                let problem = format!("and `height` are {width} and {height}, which no picture has");
                faults.push(refuse(self.path, format!("images[{index}].width"), problem))?;
                places.insert(id, None);
                continue;
            }
            let kept = self.limit.is_none_or(|limit| (index as u64) < limit);
            if places.contains_key(&id) {
                let problem = format!("is {id}, which another image has");
                faults.push(refuse(self.path, format!("images[{index}].id"), problem))?;
                continue;
            }
            places.insert(id, kept.then_some(pictures.len()));
            if kept {
                let files = PictureFiles { picture: file_name.clone(), ..PictureFiles::default() };
                let place = index;
                pictures.push(Picture { id, name: file_name, width, height, place, files, ..Picture::default() });
            }
        }
        Ok((pictures, places))
    }

    /// A region and the place of its picture; `None` where that is beyond the limit.
    fn region(
        &self,
        index: usize,
        entry: AnnotationEntry,
        places: &Places,
        classes: &BTreeMap<i64, u16>,
    ) -> Result<Option<(usize, Region)>> {
        let fault = |field: &str, problem: String| refuse(self.path, format!("annotations[{index}].{field}"), problem);
        let place = *places
            .get(&entry.image_id)
            .ok_or_else(|| fault("image_id", format!("is {}, which is not in `images`", entry.image_id)))?;
        let category = *classes
            .get(&entry.category_id)
            .ok_or_else(|| fault("category_id", format!("is {}, which is not in `categories`", entry.category_id)))?;
        let crowd = entry.iscrowd.is_set() || entry.ignore.is_set();
        let kind = if crowd { RegionKind::Crowd } else { RegionKind::Object };
        let shape = match (self.drawn, entry.segmentation, entry.bbox) {
            (Drawn::Segmented, Some(segmentation), _) => Shape::Segmentation(segmentation),
            (Drawn::Boxed, _, Some(bounds)) => Shape::Box(bounds),
            (Drawn::Segmented, None, _) => return Err(fault("segmentation", "is missing".into())),
            (Drawn::Boxed, _, None) => return Err(fault("bbox", "is missing".into())),
        };
        let region = Region { index, category, kind, shape, bounds: entry.bbox };
        Ok(place.map(|place| (place, region)))
    }
}

fn no_picture(path: &Path) -> DataError {
    refuse(path, "images".into(), "lists no picture".into())
}

/// A fault of an entry, with what to look at.
pub(super) fn refuse(path: &Path, field: String, problem: String) -> DataError {
    let hint = hint(&field, &problem).to_owned();
    DataError::Field { path: path.to_owned(), field, problem, hint }
}

/// What to look at where an entry of an annotation file is refused.
fn hint(field: &str, problem: &str) -> &'static str {
    match field.rsplit('.').next().unwrap_or(field) {
        "segmentation" if problem == "is missing" => {
            "a file with boxes alone, as Objects365's, is read with the format `objects365`"
        }
        "segmentation" => {
            "an outline has at least three points; run lengths add up to height × width, and `size` is [height, width] \
             of the picture"
        }
        "bbox" => "a box is [left, top, width, height] in pixels",
        "image_id" | "category_id" => "annotations and the lists they point to must come from the same file",
        "file_name" => "the folder and the annotation file must come from the same release of the data",
        "images" => "a set needs at least one picture: check the filter that wrote the file",
        _ => "compare the entry with one of COCO's instances_val2017.json",
    }
}
