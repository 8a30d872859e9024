//! The same validation images by every method.

use std::path::Path;

use anyhow::Context as _;
use image::codecs::jpeg::JpegEncoder;

use crate::benchmark::outcome::Benchmark;
use crate::report::html::Page;
use crate::report::samples::{Sample, Samples};

/// Of the pictures in the page, which would be ten times as large without loss.
const QUALITY: u8 = 88;

/// Pictures of one evaluation: a folder and what is in it.
struct Evaluation {
    folder: std::path::PathBuf,
    samples: Vec<Sample>,
}

/// Image, truth, and a column a method: its first seed, its own masks.
pub(super) fn side_by_side(page: &mut Page, made: &Benchmark, out: &Path) -> anyhow::Result<()> {
    let mut columns: Vec<(String, Evaluation, String)> = Vec::new();
    for row in &made.methods {
        let Some(run) = row.runs.first() else { continue };
        columns.push((
            row.name.clone(),
            Evaluation::read(&out.join(&run.evaluation).join("samples"))?,
            row.masks.clone(),
        ));
    }
    let Some((_, first, _)) = columns.first() else { return Ok(()) };
    page.section(
        "The same images by every method",
        &format!(
            "Validation images, truth as the first protocol counts it, and each method's masks after its first \
             seed ({}). A colour is a slot; colours of different methods have nothing to do with one another.",
            made.seeds.first().map_or_else(String::new, u64::to_string)
        ),
    );
    let mut heads = vec!["image".to_owned(), "truth".to_owned()];
    heads.extend(columns.iter().map(|(name, ..)| name.clone()));
    let mut rows = Vec::new();
    for sample in &first.samples {
        let mut row = vec![first.picture(&sample.image, "image")?, first.picture(&sample.image, "ground truth")?];
        for (_, evaluation, masks) in &columns {
            row.push(evaluation.picture(&sample.image, masks)?);
        }
        rows.push(row);
    }
    page.matrix(&heads, &rows);
    Ok(())
}

impl Evaluation {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("samples.json");
        let text = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let index: Samples =
            serde_json::from_slice(&text).with_context(|| format!("cannot read `{}`", path.display()))?;
        Ok(Self { folder: folder.to_owned(), samples: index.samples })
    }

    /// A view of an image as JPEG.
    fn picture(&self, image: &str, caption: &str) -> anyhow::Result<Vec<u8>> {
        let sample = self.samples.iter().find(|sample| sample.image == image);
        let view = sample.and_then(|sample| sample.views.iter().find(|view| view.caption == caption));
        let view =
            view.with_context(|| format!("`{}` has no picture `{caption}` of `{image}`", self.folder.display()))?;
        let path = self.folder.join(&view.file);
        let read = || -> anyhow::Result<Vec<u8>> {
            let picture = image::load_from_memory(&std::fs::read(&path)?)?.to_rgb8();
            let mut bytes = Vec::new();
            JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&picture)?;
            Ok(bytes)
        };
        read().with_context(|| format!("cannot read `{}`", path.display()))
    }
}
