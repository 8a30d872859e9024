//! Validation data in COCO's format: a folder of pictures and one annotation file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glass_metrics::{Annotation, RegionKind, Segmentation};
use image::RgbImage;
use serde::Deserialize;

use super::EvalError;

/// Pictures with their annotations, in the order of the annotation file.
#[derive(Debug)]
pub struct ValidationSet {
    annotations_path: PathBuf,
    pictures: Vec<Picture>,
    /// Class names; class `n` of an [`Annotation`] is entry `n − 1`.
    classes: Vec<String>,
}

/// One picture of a [`ValidationSet`].
#[derive(Debug)]
pub struct Picture {
    /// Id in the annotation file.
    pub id: i64,
    /// Name in the annotation file; the subject of everything random about this picture.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
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
    segmentation: Segmentation,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct CategoryEntry {
    id: i64,
    name: String,
}

impl ValidationSet {
    /// Reads the annotation file and checks that every picture of it lies in `folder`.
    ///
    /// `limit` keeps the first so many pictures.
    ///
    /// # Errors
    /// [`EvalError::File`] and [`EvalError::Json`] for the file itself, [`EvalError::Annotations`] where an entry
    /// points nowhere: to a picture that is not in the folder, to an image or a category that is not listed.
    pub fn open(folder: &Path, annotations: &Path, limit: Option<u64>) -> Result<Self, EvalError> {
        let text = std::fs::read(annotations).map_err(EvalError::read(annotations))?;
        let file: File = serde_json::from_slice(&text)
            .map_err(|source| EvalError::Json { path: annotations.to_owned(), source })?;
        let refuse = |field: String, problem: String| EvalError::Annotations {
            path: annotations.to_owned(),
            field,
            problem,
        };
        let present = list(folder)?;
        let mut places = BTreeMap::new();
        let mut pictures = Vec::with_capacity(file.images.len());
        for (index, entry) in file.images.into_iter().enumerate() {
            if limit.is_some_and(|limit| index as u64 >= limit) {
                places.insert(entry.id, None);
                continue;
            }
            let path = folder.join(&entry.file_name);
            if !present.contains(&entry.file_name) && !path.is_file() {
                return Err(refuse(
                    format!("images[{index}].file_name"),
                    format!("is `{}`, which is not in `{}`", entry.file_name, folder.display()),
                ));
            }
            if places.insert(entry.id, Some(pictures.len())).is_some() {
                return Err(refuse(format!("images[{index}].id"), format!("is {}, which another image has", entry.id)));
            }
            pictures.push(Picture {
                id: entry.id,
                name: entry.file_name,
                path,
                width: entry.width,
                height: entry.height,
                regions: Vec::new(),
            });
        }
        let classes: BTreeMap<i64, u16> =
            file.categories.iter().enumerate().map(|(index, entry)| (entry.id, index as u16 + 1)).collect();
        for (index, entry) in file.annotations.into_iter().enumerate() {
            let Some(place) = places.get(&entry.image_id) else {
                let problem = format!("is {}, which is not in `images`", entry.image_id);
                return Err(refuse(format!("annotations[{index}].image_id"), problem));
            };
            let Some(&category) = classes.get(&entry.category_id) else {
                let problem = format!("is {}, which is not in `categories`", entry.category_id);
                return Err(refuse(format!("annotations[{index}].category_id"), problem));
            };
            let kind = if entry.iscrowd == 0 { RegionKind::Object } else { RegionKind::Crowd };
            if let Some(place) = *place {
                pictures[place].regions.push(Region { index, category, kind, segmentation: entry.segmentation });
            }
        }
        if pictures.is_empty() {
            return Err(refuse("images".into(), "lists no picture".into()));
        }
        Ok(Self {
            annotations_path: annotations.to_owned(),
            pictures,
            classes: file.categories.into_iter().map(|entry| entry.name).collect(),
        })
    }

    /// The pictures, in the order of the annotation file.
    pub fn pictures(&self) -> &[Picture] {
        &self.pictures
    }

    /// Class names, class 1 first.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The masks of one picture, in the order of the annotation file.
    ///
    /// # Errors
    /// [`EvalError::Annotations`] names the segmentation that is damaged or of another size than its picture.
    pub fn regions(&self, picture: &Picture) -> Result<Vec<Annotation>, EvalError> {
        let decode = |region: &Region| {
            let mask = region.segmentation.mask(picture.width, picture.height).map_err(|error| {
                EvalError::Annotations {
                    path: self.annotations_path.clone(),
                    field: format!("annotations[{}].segmentation", region.index),
                    problem: format!("of picture `{}`: {error}", picture.name),
                }
            })?;
            Ok(Annotation { category: region.category, kind: region.kind, mask })
        };
        picture.regions.iter().map(decode).collect()
    }

    /// Decodes one picture.
    ///
    /// # Errors
    /// [`EvalError::File`], [`EvalError::Picture`], and [`EvalError::PictureSize`] where the picture is not of the
    /// size that its annotations were made at.
    pub fn decode(&self, picture: &Picture) -> Result<RgbImage, EvalError> {
        let bytes = std::fs::read(&picture.path).map_err(EvalError::read(&picture.path))?;
        let decoded = glass_nets::image::decode(&bytes)
            .map_err(|source| EvalError::Picture { path: picture.path.clone(), source })?;
        let found = (decoded.width() as usize, decoded.height() as usize);
        if found != (picture.width, picture.height) {
            return Err(EvalError::PictureSize {
                path: picture.path.clone(),
                annotations: self.annotations_path.clone(),
                found: format!("{}×{}", found.0, found.1),
                expected: format!("{}×{}", picture.width, picture.height),
            });
        }
        Ok(decoded)
    }
}

/// Names in a folder: one listing instead of a look-up a picture.
fn list(folder: &Path) -> Result<BTreeSet<String>, EvalError> {
    let entries = std::fs::read_dir(folder).map_err(EvalError::read(folder))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}
