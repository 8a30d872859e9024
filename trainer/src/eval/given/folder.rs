//! A folder with one file a picture.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{Content, Given, Missing, Source, settle, stem};
use crate::eval::EvalError;
use crate::eval::annotations::{Annotations, Picture};

const EXTENSIONS: [&str; 3] = ["png", "npy", "npz"];

/// Finds `<file stem>.png`, `.npy` or `.npz` of every picture; where file names have folders, those are looked into
/// first.
pub fn open<'a>(folder: &Path, annotations: &'a Annotations, missing: Missing) -> Result<Source<'a>, EvalError> {
    let present = list(folder)?;
    let mut owners: HashMap<PathBuf, &Picture> = HashMap::new();
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for picture in annotations.pictures() {
        let Some(path) = find(folder, &present, picture) else {
            absent.push(picture);
            continue;
        };
        if let Some(other) = owners.insert(path.clone(), picture) {
            return Err(EvalError::Given {
                path,
                field: "the file name".into(),
                problem: format!("is that of the masks of two images, `{}` and `{}`", other.name, picture.name),
                hint: "keep the folders of the images' file names below the folder of the masks".into(),
            });
        }
        found.push((picture, path));
    }
    let expected = |picture: &Picture| format!("`{}.png` (or .npy, .npz)", stem(&picture.name));
    settle(missing, folder, &absent, annotations.pictures().len(), expected)?;
    Ok(Box::new(found.into_iter().map(|(picture, path)| Ok(Given { picture, content: Content::File(path) }))))
}

fn find(folder: &Path, present: &HashSet<String>, picture: &Picture) -> Option<PathBuf> {
    let nested = Path::new(&picture.name);
    let in_folders = nested.components().count() > 1;
    EXTENSIONS.iter().find_map(|extension| {
        let path = folder.join(nested.with_extension(extension));
        let flat = format!("{}.{extension}", stem(&picture.name));
        if in_folders && path.is_file() {
            return Some(path);
        }
        present.contains(&flat).then(|| folder.join(flat))
    })
}

/// Names in a folder: one listing instead of a look-up a picture.
fn list(folder: &Path) -> Result<HashSet<String>, EvalError> {
    let entries = std::fs::read_dir(folder).map_err(EvalError::read(folder))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}
