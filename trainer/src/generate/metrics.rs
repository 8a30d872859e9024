//! Scores what was drawn, from the files that were written.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use burn::tensor::Device;
use glass_metrics::Protocol;
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::pictures::{PictureMetricsSpec, RealPictures};
use image::RgbImage;
use serde::Deserialize;
use tracing::warn;

use super::compose::edit_name;
use super::exchange::exchange_name;
use super::shelf::{Shelf, get_picture, put_index};
use crate::data::annotated::DataError;
use crate::eval::annotations::Picture;
use crate::eval::coco::{ValidationSet, validation};
use crate::eval::picture::View;
use crate::eval::protocols;
use crate::fidelity::{Judge, Networks, Reference, Report, Settings};

/// The file of the numbers.
const FILE: &str = "metrics.json";

/// What is needed to score drawn pictures.
pub struct Scoring<'a> {
    /// The run spec.
    pub spec: &'a RunSpec,
    /// Pictures looked at at once.
    pub batch: usize,
    /// Where to compute.
    pub device: Device,
}

/// A drawn picture and the real one whose place it has.
struct Drawn {
    image: String,
    file: String,
}

/// Pictures drawn from unedited slots: distances between the sets, and every pair.
///
/// # Errors
/// Where a network or a picture cannot be used.
pub fn score_generated(scoring: &Scoring<'_>, shelf: &mut dyn Shelf) -> anyhow::Result<Report> {
    #[derive(Deserialize)]
    struct Index {
        pictures: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        image: String,
        file: String,
    }
    let index: Index = read(shelf, "generated.json")?;
    let drawn = index.pictures.into_iter().map(|Entry { image, file }| Drawn { image, file }).collect();
    score(scoring, shelf, vec![(None, drawn)], Pairing::WithReal)
}

/// Compositions: the distance of every edit's and every exchange's pictures to the real ones. There are no pairs, as a
/// composition has no original.
///
/// # Errors
/// As [`score_generated`].
pub fn score_compositions(scoring: &Scoring<'_>, shelf: &mut dyn Shelf) -> anyhow::Result<Report> {
    #[derive(Deserialize)]
    struct Index {
        compositions: Vec<Edited>,
        #[serde(default)]
        exchanges: Vec<Exchanged>,
    }
    #[derive(Deserialize)]
    struct Edited {
        edit: glass_schemas::spec::evaluation::Edit,
        image: String,
        after: String,
    }
    #[derive(Deserialize)]
    struct Exchanged {
        exchange: glass_schemas::spec::evaluation::Exchange,
        image: String,
        file: String,
    }
    let index: Index = read(shelf, "compositions.json")?;
    let mut sets: BTreeMap<&str, Vec<Drawn>> = BTreeMap::new();
    for Edited { edit, image, after } in index.compositions {
        sets.entry(edit_name(edit)).or_default().push(Drawn { image, file: after });
    }
    for Exchanged { exchange, image, file } in index.exchanges {
        sets.entry(exchange_name(exchange)).or_default().push(Drawn { image, file });
    }
    // A single picture has no covariance.
    sets.retain(|_, drawn| drawn.len() > 1);
    let sets = sets.into_iter().map(|(name, drawn)| (Some(name.to_owned()), drawn)).collect();
    score(scoring, shelf, sets, Pairing::None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pairing {
    /// Every picture with the real one of its name.
    WithReal,
    /// None.
    None,
}

fn score(
    scoring: &Scoring<'_>,
    shelf: &mut dyn Shelf,
    sets: Vec<(Option<String>, Vec<Drawn>)>,
    pairing: Pairing,
) -> anyhow::Result<Report> {
    let spec = scoring.spec;
    let metrics = &spec.evaluation.generation.metrics;
    let networks = Networks::load(&settings(spec, metrics)?, &scoring.device)?;
    if let Some(before) = stored(shelf)?.filter(|before| same(before, metrics, &networks)) {
        return Ok(before);
    }
    let reference = metrics.reference.as_deref().map(Reference::open).transpose()?;
    let mut judge = Judge::new(&networks, metrics, reference)?;
    let gallery = Gallery::open(spec)?;
    let batch = scoring.batch.max(1);
    if judge.wants_real() {
        for pictures in gallery.real(&sets, metrics.real).chunks(batch) {
            let names: Vec<&str> = pictures.iter().map(|picture| picture.name.as_str()).collect();
            judge.real(&names, &gallery.squares(pictures)?)?;
        }
    }
    for (of, drawn) in &sets {
        judge.begin(of.clone());
        for drawn in drawn.chunks(batch) {
            let names: Vec<&str> = drawn.iter().map(|drawn| drawn.image.as_str()).collect();
            let pictures: Vec<RgbImage> =
                drawn.iter().map(|drawn| get_picture(shelf, &drawn.file)).collect::<anyhow::Result<_>>()?;
            judge.drawn(&names, &pictures)?;
            if pairing == Pairing::WithReal {
                let originals = names.iter().map(|name| gallery.named(name)).collect::<anyhow::Result<Vec<_>>>()?;
                judge.pairs(&gallery.squares(&originals)?, &pictures)?;
            }
        }
    }
    let report = judge.finish()?;
    put_index(shelf, FILE, &report)?;
    Ok(report)
}

/// The networks that the spec names; without InceptionV3 a DINOv2, the run's own encoder if need be.
fn settings(spec: &RunSpec, metrics: &PictureMetricsSpec) -> anyhow::Result<Settings> {
    let encoder = &spec.trainer.encoder;
    let side = encoder.image_size;
    let encoder = match &metrics.dinov2 {
        Some(folder) => Some((folder.clone(), side)),
        None if metrics.inception.is_some() => None,
        None if is_transformer(&encoder.weights)? => Some((encoder.weights.clone(), side)),
        None => {
            warn!("neither `inception` nor `dinov2` is named and the encoder is none: no distances are computed");
            None
        }
    };
    Ok(Settings { spec: metrics.clone(), encoder })
}

/// Whether a folder holds a DINOv2 or a DINO.
fn is_transformer(folder: &Path) -> anyhow::Result<bool> {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Config {
        model_type: String,
    }
    let config: Config = glass_nets::config::read_or_default(folder.join("config.json"))?;
    Ok(config.model_type == "vit" || config.model_type.starts_with("dinov2"))
}

fn stored(shelf: &dyn Shelf) -> anyhow::Result<Option<Report>> {
    match shelf.names()?.contains(FILE) {
        // A report of another version is made again.
        true => Ok(serde_json::from_slice(&shelf.get(FILE)?).ok()),
        false => Ok(None),
    }
}

fn same(before: &Report, metrics: &PictureMetricsSpec, networks: &Networks) -> bool {
    before.settings == *metrics && before.digests == networks.digests
}

fn read<T: for<'de> Deserialize<'de>>(shelf: &dyn Shelf, name: &str) -> anyhow::Result<T> {
    serde_json::from_slice(&shelf.get(name)?).with_context(|| format!("cannot read `{name}`"))
}

/// The real pictures, at the size of the drawn ones.
struct Gallery {
    data: ValidationSet,
    view: View,
}

impl Gallery {
    fn open(spec: &RunSpec) -> anyhow::Result<Self> {
        let protocol: Protocol = protocols::resolve(&spec.evaluation)?.swap_remove(0);
        let view = View { size: spec.trainer.picture_size(), ..View::of(&protocol) };
        Ok(Self { data: validation(spec)?, view })
    }

    /// The set that drawn pictures are compared with, each picture once.
    fn real(&self, sets: &[(Option<String>, Vec<Drawn>)], which: RealPictures) -> Vec<&Picture> {
        let names: std::collections::BTreeSet<&str> =
            sets.iter().flat_map(|(_, drawn)| drawn).map(|drawn| drawn.image.as_str()).collect();
        let wanted = |picture: &&Picture| which == RealPictures::All || names.contains(picture.name.as_str());
        self.data.pictures().iter().filter(wanted).collect()
    }

    fn named(&self, name: &str) -> anyhow::Result<&Picture> {
        let found = self.data.pictures().iter().find(|picture| picture.name == name);
        found.with_context(|| format!("picture `{name}` is not in the validation set any more"))
    }

    fn squares(&self, pictures: &[&Picture]) -> anyhow::Result<Vec<RgbImage>> {
        let square = |picture: &&Picture| {
            let pixels = self.data.decode(picture)?;
            let square = self.view.square(&pixels);
            Ok(square.map_err(|source| DataError::Picture { path: self.data.path(picture), source })?)
        };
        pictures.iter().map(square).collect()
    }
}
