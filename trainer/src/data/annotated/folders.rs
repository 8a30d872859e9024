//! Pictures that are files of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::PictureSource;
use super::error::{DataError, Faults, Result};
use super::files::Files;
use super::label_png::{HEAD, size_in_head};
use super::maps::fault;
use super::picture::Picture;

/// Endings of picture files.
pub(super) const PICTURES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// Pictures below a folder.
pub(super) struct PictureFolder {
    pub files: Files,
}

impl PictureSource for PictureFolder {
    fn bytes(&self, picture: &Picture) -> Result<Bytes> {
        self.files.read(&picture.files.picture)
    }

    fn name(&self, picture: &Picture) -> PathBuf {
        self.files.name(&picture.files.picture)
    }
}

/// Whether a key ends as pictures do.
pub(super) fn is_picture(key: &str) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| PICTURES.contains(&ending.as_str()))
}

/// A key without its ending.
pub(super) fn stem(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(stem, _)| stem)
}

/// Finds the file of every picture of an annotation file. Where its name has folders that are not there, the rest of
/// the name is looked for: Objects365 names `images/v1/patch8/…` what is unpacked into `patch8`.
pub(super) fn locate(
    pictures: &mut Vec<Picture>,
    present: &BTreeMap<String, u64>,
    folder: &Files,
    file: &Path,
    faults: &mut Faults,
) -> Result<()> {
    let mut missing = Vec::new();
    for (index, picture) in pictures.iter_mut().enumerate() {
        let mut key = picture.name.trim_start_matches("./");
        loop {
            if present.contains_key(key) {
                picture.files.picture = key.to_owned();
                break;
            }
            match key.split_once('/') {
                Some((_, rest)) => key = rest,
                None => {
                    missing.push(index);
                    break;
                }
            }
        }
    }
    for &index in &missing {
        let picture = &pictures[index];
        let problem = format!("is `{}`, which is not in `{}`", picture.name, folder.name("").display());
        faults.push(super::instances::refuse(file, format!("images[{}].file_name", picture.place), problem))?;
    }
    let mut missing = missing.into_iter().peekable();
    let mut index = 0;
    pictures.retain(|_| {
        let keep = missing.next_if_eq(&index).is_none();
        index += 1;
        keep
    });
    Ok(())
}

/// Takes the size of every picture from its own label map, and leaves out pictures whose map has none.
pub(super) fn measure(
    pictures: &mut Vec<Picture>,
    maps: &Files,
    present: &BTreeMap<String, u64>,
    faults: &mut Faults,
) -> Result<()> {
    let key = |picture: &Picture| match picture.files.instances.as_str() {
        "" => picture.files.classes.clone(),
        key => key.to_owned(),
    };
    let all: Vec<(String, u64)> = pictures
        .iter()
        .map(key)
        .map(|key| {
            let size = present.get(&key).copied().unwrap_or(HEAD);
            (key, size)
        })
        .collect();
    let heads = maps.heads(&all, HEAD);
    let mut kept = Vec::with_capacity(pictures.len());
    for ((mut picture, head), (key, _)) in std::mem::take(pictures).into_iter().zip(heads).zip(all) {
        let size = head.and_then(|head| {
            let of = format!("the map of picture `{}`", picture.name);
            size_in_head(&head).map_err(|problem| fault(maps.name(&key), of, problem))
        });
        if let Some((width, height)) = faults.take(size)? {
            (picture.width, picture.height) = (width, height);
            kept.push(picture);
        }
    }
    *pictures = kept;
    Ok(())
}

/// Refuses a set without pictures.
pub(super) fn some(pictures: &[Picture], place: &Path, expected: &str, faults: &mut Faults) -> Result<()> {
    if !pictures.is_empty() {
        return Ok(());
    }
    faults.push(DataError::Format {
        uri: place.display().to_string(),
        problem: "holds no picture that can be used".into(),
        hint: format!("{expected}; check the path, the split and the filter that wrote it"),
    })
}
