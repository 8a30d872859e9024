//! COCO's results: a list of regions, as detectors and SAM write it.

use std::collections::HashMap;
use std::path::Path;

use glass_metrics::Segmentation;
use serde::Deserialize;

use super::{Content, Given, Segments, Source};
use crate::eval::EvalError;
use crate::eval::annotations::{Annotations, Picture, segmentation};

#[derive(Deserialize)]
struct Entry {
    image_id: i64,
    #[serde(deserialize_with = "segmentation")]
    segmentation: Segmentation,
    #[serde(default)]
    score: f64,
}

/// The list itself, or an annotation file.
#[derive(Deserialize)]
struct Document {
    annotations: Vec<Entry>,
}

/// Reads the list. A picture without an entry is one segment: nothing was found in it.
pub fn open<'a>(path: &Path, annotations: &'a Annotations) -> Result<Source<'a>, EvalError> {
    let text = std::fs::read(path).map_err(EvalError::read(path))?;
    let is_list = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let entries: Vec<Entry> = if is_list {
        serde_json::from_slice(&text)
    } else {
        serde_json::from_slice(&text).map(|document: Document| document.annotations)
    }
    .map_err(|error| EvalError::Given {
        path: path.to_owned(),
        field: "the list".into(),
        problem: format!("is not one of COCO results: {error}"),
        hint: "an entry is {image_id, segmentation, score}; a file that ends too early was not written to its end"
            .into(),
    })?;
    drop(text);
    let mut regions: HashMap<i64, Vec<(f64, usize, Segmentation)>> =
        annotations.pictures().iter().map(|picture| (picture.id, Vec::new())).collect();
    for (index, entry) in entries.into_iter().enumerate() {
        let Some(list) = regions.get_mut(&entry.image_id) else {
            return Err(EvalError::Given {
                path: path.to_owned(),
                field: format!("[{index}].image_id"),
                problem: format!("is {}, which `{}` does not list", entry.image_id, annotations.path().display()),
                hint: "results and annotations must be of the same images".into(),
            });
        };
        list.push((entry.score, index, entry.segmentation));
    }
    Ok(Box::new(annotations.pictures().iter().map(move |picture| {
        let mut list = regions.remove(&picture.id).unwrap_or_default();
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
        let regions = list.into_iter().map(|(_, index, segmentation)| (index, segmentation)).collect();
        Ok(Given { picture, content: Content::Regions(regions) })
    })))
}

/// Paints regions, the best last, over a ground that is a segment of its own.
pub fn segments(regions: &[(usize, Segmentation)], picture: &Picture, source: &Path) -> Result<Segments, EvalError> {
    let refuse = |field: String, problem: String| EvalError::Given {
        path: source.to_owned(),
        field,
        problem,
        hint: "`size` is [height, width] of the picture, an outline has at least three points".into(),
    };
    let mut labels = vec![0; picture.width * picture.height];
    for (index, segmentation) in regions {
        let mask = segmentation.mask(picture.width, picture.height).map_err(|error| {
            refuse(format!("[{index}].segmentation"), format!("of image `{}`: {error}", picture.name))
        })?;
        for (label, _) in labels.iter_mut().zip(mask.bits()).filter(|(_, inside)| **inside) {
            *label = *index as i64 + 1;
        }
    }
    Segments::of_values(picture.width, picture.height, &labels)
        .map_err(|problem| refuse(format!("the regions of image `{}`", picture.name), problem))
}
