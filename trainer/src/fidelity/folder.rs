//! A folder of pictures.

use std::path::{Path, PathBuf};

use image::RgbImage;
use rayon::prelude::*;

use crate::data::annotated::DataError;
use crate::eval::EvalError;

/// Endings of files that are taken for pictures.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// Pictures of a folder by file stem, in that order; other files are left alone.
#[derive(Debug, Clone)]
pub struct Folder {
    pictures: Vec<(String, PathBuf)>,
}

impl Folder {
    /// Lists a folder.
    ///
    /// # Errors
    /// [`EvalError::File`] where it cannot be listed, [`EvalError::Given`] where it holds no picture, or two of one stem.
    pub fn open(path: &Path) -> Result<Self, EvalError> {
        let refuse = |problem: String| EvalError::Given {
            path: path.to_owned(),
            field: "the folder".into(),
            problem,
            hint: format!("pictures end in {}; pairs have the same file stem", ENDINGS.join(", ")),
        };
        let mut pictures = Vec::new();
        for entry in std::fs::read_dir(path).map_err(EvalError::read(path))? {
            let file = entry.map_err(EvalError::read(path))?.path();
            let ending = file.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
            let stem = file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
            if let (Some(stem), true) = (stem, ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))) {
                pictures.push((stem, file));
            }
        }
        pictures.sort();
        if pictures.is_empty() {
            return Err(refuse("holds no picture".into()));
        }
        match pictures.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(refuse(format!("holds two pictures called `{}`", pair[0].0))),
            None => Ok(Self { pictures }),
        }
    }

    /// File stems, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pictures.iter().map(|(name, _)| name.as_str())
    }

    /// Pictures.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether there is none; never after [`Folder::open`].
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Decodes pictures by name.
    ///
    /// # Errors
    /// [`EvalError::File`] and [`EvalError::Picture`], naming the file.
    pub fn read(&self, names: &[&str]) -> Result<Vec<RgbImage>, EvalError> {
        let read = |name: &&str| {
            let place = self.pictures.binary_search_by(|(other, _)| other.as_str().cmp(name));
            let Ok(place) = place else { return Err(EvalError::Shape(format!("there is no picture `{name}`"))) };
            let path = &self.pictures[place].1;
            let bytes = std::fs::read(path).map_err(EvalError::read(path))?;
            glass_nets::image::decode(&bytes).map_err(|source| DataError::Picture { path: path.clone(), source }.into())
        };
        names.par_iter().map(read).collect()
    }
}
