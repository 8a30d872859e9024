//! Pictures beside their truth and their segments, for the report.

use glass_metrics::LabelMap;
use image::{ImageFormat, RgbImage};
use serde::Serialize;

use super::EvalError;
use super::run::Look;
use crate::viz::{Ground, Sheet, overlay};

/// How strongly labels cover the picture.
const OPACITY: f32 = 0.55;

/// Pixels of a cell in the contact sheet.
const CELL: u32 = 128;

/// The pictures of a report and what is to be written below them.
#[derive(Debug, Default)]
pub struct Samples {
    entries: Vec<Entry>,
    files: Vec<(String, RgbImage)>,
    sheet: Vec<RgbImage>,
}

/// One validation picture in `samples.json`.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Name of the picture in its data set.
    pub image: String,
    /// What is shown, from left to right.
    pub views: Vec<View>,
}

/// One view of a picture.
#[derive(Debug, Serialize)]
pub struct View {
    /// File beside `samples.json`.
    pub file: String,
    /// What it shows.
    pub caption: String,
}

#[derive(Serialize)]
struct Index<'a> {
    protocol: &'a str,
    sheet: &'a str,
    samples: &'a [Entry],
}

impl Samples {
    /// Draws one picture.
    pub fn push(&mut self, look: &Look<'_>) {
        let side = look.truth.instances.width() as u32;
        let mut views = vec![
            (String::from("image"), String::from("image"), look.pixels.clone()),
            (
                String::from("truth"),
                String::from("ground truth"),
                draw(&look.pixels, &look.truth.instances, side, Ground::Clear),
            ),
        ];
        for (method, labels) in &look.segmentations {
            let name = method.as_str().replace([',', ' '], "-").replace("--", "-");
            views.push((name, method.as_str().to_owned(), draw(&look.pixels, labels, side, Ground::Painted)));
        }
        let file = |name: &str| format!("{:03}-{name}.png", look.index);
        self.entries.push(Entry {
            image: look.picture.name.clone(),
            views: views.iter().map(|(name, caption, _)| View { file: file(name), caption: caption.clone() }).collect(),
        });
        for (name, _, drawing) in views {
            self.sheet.push(drawing.clone());
            self.files.push((file(&name), drawing));
        }
    }

    /// All files, `samples.json` and a contact sheet of everything (one row a picture) among them.
    ///
    /// `protocol` is the id under which the truth is shown.
    ///
    /// # Errors
    /// Where a picture cannot be encoded.
    pub fn finish(self, protocol: &str) -> Result<Vec<(String, Vec<u8>)>, EvalError> {
        let Some(first) = self.entries.first() else { return Ok(Vec::new()) };
        let mut sheet = Sheet::new(first.views.len() as u32, CELL, 6);
        for drawing in &self.sheet {
            sheet.push(drawing);
        }
        let index = Index { protocol, sheet: "sheet.png", samples: &self.entries };
        let mut files = vec![
            (
                "samples.json".to_owned(),
                serde_json::to_vec_pretty(&index).map_err(|error| EvalError::Drawing(error.into()))?,
            ),
            ("sheet.png".to_owned(), png(&sheet.draw())?),
        ];
        for (name, drawing) in &self.files {
            files.push((name.clone(), png(drawing)?));
        }
        Ok(files)
    }
}

/// A picture as the bytes of a PNG file.
///
/// # Errors
/// Where it cannot be encoded.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, EvalError> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|error| EvalError::Drawing(error.into()))?;
    Ok(bytes.into_inner())
}

fn draw(picture: &RgbImage, labels: &LabelMap, side: u32, ground: Ground) -> RgbImage {
    overlay(picture, labels.labels(), side, OPACITY, ground)
}
