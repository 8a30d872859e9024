//! COCO's annotation file: pictures and their regions, without the pictures themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glass_metrics::{Annotation, GroundTruth, Protocol, RegionKind, Sampling, Segmentation};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::EvalError;

/// Pixels of the largest picture that is believed: a wrong digit in a file must not take all memory.
const LARGEST_PICTURE: usize = 1 << 28;

/// The entries of an annotation file, pictures in its order.
#[derive(Debug)]
pub struct Annotations {
    path: PathBuf,
    pictures: Vec<Picture>,
    /// Class names; class `n` of an [`Annotation`] is entry `n − 1`.
    classes: Vec<String>,
}

/// One picture of an annotation file.
#[derive(Debug)]
pub struct Picture {
    /// Id in the annotation file.
    pub id: i64,
    /// Name in the annotation file; the subject of everything random about this picture.
    pub name: String,
    /// Width in pixels, as the annotation file says.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    /// Place in the file's `annotations`, for messages.
    index: usize,
    category: u16,
    kind: RegionKind,
    segmentation: Segmentation,
}

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
    #[serde(deserialize_with = "segmentation")]
    segmentation: Segmentation,
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
pub(super) fn segmentation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Segmentation, D::Error> {
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

impl Annotations {
    /// Reads the file; `limit` keeps the first so many pictures.
    ///
    /// # Errors
    /// [`EvalError::File`] and [`EvalError::Json`] for the file itself, [`EvalError::Annotations`] where it lists no
    /// picture, or an entry points to an image or a category that is not listed.
    pub fn open(path: &Path, limit: Option<u64>) -> Result<Self, EvalError> {
        let text = std::fs::read(path).map_err(EvalError::read(path))?;
        let file: File =
            serde_json::from_slice(&text).map_err(|source| EvalError::Json { path: path.to_owned(), source })?;
        let refuse = |field: String, problem: String| EvalError::Annotations { path: path.to_owned(), field, problem };
        let mut places = BTreeMap::new();
        let mut pictures = Vec::with_capacity(file.images.len());
        for (index, entry) in file.images.into_iter().enumerate() {
            if !entry.width.checked_mul(entry.height).is_some_and(|pixels| (1..=LARGEST_PICTURE).contains(&pixels)) {
                let problem = format!("and `height` are {} and {}, which no picture has", entry.width, entry.height);
                return Err(refuse(format!("images[{index}].width"), problem));
            }
            let kept = limit.is_none_or(|limit| (index as u64) < limit);
            if places.insert(entry.id, kept.then_some(pictures.len())).is_some() {
                return Err(refuse(format!("images[{index}].id"), format!("is {}, which another image has", entry.id)));
            }
            if kept {
                let ImageEntry { id, file_name: name, width, height } = entry;
                pictures.push(Picture { id, name, width, height, regions: Vec::new() });
            }
        }
        if pictures.is_empty() {
            return Err(refuse("images".into(), "lists no picture".into()));
        }
        // The evaluation codes number classes by their ids; COCO's own file is in that order already.
        let mut categories = file.categories;
        categories.sort_by_key(|entry| entry.id);
        let classes: BTreeMap<i64, u16> =
            categories.iter().enumerate().map(|(index, entry)| (entry.id, index as u16 + 1)).collect();
        for (index, entry) in file.annotations.into_iter().enumerate() {
            let Some(place) = places.get(&entry.image_id) else {
                let problem = format!("is {}, which is not in `images`", entry.image_id);
                return Err(refuse(format!("annotations[{index}].image_id"), problem));
            };
            let Some(&category) = classes.get(&entry.category_id) else {
                let problem = format!("is {}, which is not in `categories`", entry.category_id);
                return Err(refuse(format!("annotations[{index}].category_id"), problem));
            };
            let crowd = entry.iscrowd.is_set() || entry.ignore.is_set();
            let kind = if crowd { RegionKind::Crowd } else { RegionKind::Object };
            if let Some(place) = *place {
                pictures[place].regions.push(Region { index, category, kind, segmentation: entry.segmentation });
            }
        }
        let classes = categories.into_iter().map(|entry| entry.name).collect();
        Ok(Self { path: path.to_owned(), pictures, classes })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pictures, in the order of the file.
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// Class names, class 1 first.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The masks of one picture, in the order of the file.
    ///
    /// # Errors
    /// [`EvalError::Annotations`] names the segmentation that is damaged or of another size than its picture.
    pub fn regions(&self, picture: &Picture) -> Result<Vec<Annotation>, EvalError> {
        let decode = |region: &Region| {
            let mask =
                region.segmentation.mask(picture.width, picture.height).map_err(|error| EvalError::Annotations {
                    path: self.path.clone(),
                    field: format!("annotations[{}].segmentation", region.index),
                    problem: format!("of picture `{}`: {error}", picture.name),
                })?;
            Ok(Annotation { category: region.category, kind: region.kind, mask })
        };
        picture.regions.iter().map(decode).collect()
    }

    /// The ground truth of one picture under every protocol, at its mask size; `None` where a protocol leaves the
    /// picture out.
    ///
    /// # Errors
    /// As [`Annotations::regions`].
    pub fn truths(&self, picture: &Picture, protocols: &[Protocol]) -> Result<Vec<Option<GroundTruth>>, EvalError> {
        let regions = self.regions(picture)?;
        let truth = |protocol: &Protocol| {
            let size = protocol.mask_size as usize;
            let sampling = Sampling::square(protocol, picture.width, picture.height, size);
            Ok(GroundTruth::paint(protocol, &sampling, &regions)?)
        };
        protocols.iter().map(truth).collect()
    }
}
