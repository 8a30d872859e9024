//! Validation data in COCO's format: a folder of pictures and one annotation file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use image::RgbImage;

use super::annotations::{Annotations, Picture};
use super::EvalError;

/// Pictures with their annotations, in the order of the annotation file.
#[derive(Debug)]
pub struct ValidationSet {
    folder: PathBuf,
    annotations: Annotations,
}

impl ValidationSet {
    /// Reads the annotation file and checks that every picture of it lies in `folder`.
    ///
    /// `limit` keeps the first so many pictures.
    ///
    /// # Errors
    /// As [`Annotations::open`], and [`EvalError::Annotations`] where a picture is not in the folder.
    pub fn open(folder: &Path, annotations: &Path, limit: Option<u64>) -> Result<Self, EvalError> {
        let annotations = Annotations::open(annotations, limit)?;
        let present = list(folder)?;
        for (index, picture) in annotations.pictures().iter().enumerate() {
            if !present.contains(&picture.name) && !folder.join(&picture.name).is_file() {
                return Err(EvalError::Annotations {
                    path: annotations.path().to_owned(),
                    field: format!("images[{index}].file_name"),
                    problem: format!("is `{}`, which is not in `{}`", picture.name, folder.display()),
                });
            }
        }
        Ok(Self { folder: folder.to_owned(), annotations })
    }

    /// The annotation file.
    pub fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    /// The pictures, in the order of the annotation file.
    pub fn pictures(&self) -> &[Picture] {
        self.annotations.pictures()
    }

    /// Where a picture lies.
    pub fn path(&self, picture: &Picture) -> PathBuf {
        self.folder.join(&picture.name)
    }

    /// Decodes one picture.
    ///
    /// # Errors
    /// [`EvalError::File`], [`EvalError::Picture`], and [`EvalError::PictureSize`] where the picture is not of the
    /// size that its annotations were made at.
    pub fn decode(&self, picture: &Picture) -> Result<RgbImage, EvalError> {
        let path = self.path(picture);
        let bytes = std::fs::read(&path).map_err(EvalError::read(&path))?;
        let decoded = glass_nets::image::decode(&bytes)
            .map_err(|source| EvalError::Picture { path: path.clone(), source })?;
        let found = (decoded.width() as usize, decoded.height() as usize);
        if found != (picture.width, picture.height) {
            return Err(EvalError::PictureSize {
                path,
                annotations: self.annotations.path().to_owned(),
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
