//! The pictures that two evaluations see most differently, beside their truth.

use glass_metrics::{LabelMap, Protocol};
use image::RgbImage;

use super::EvalError;
use super::annotations::Picture;
use super::coco::ValidationSet;
use super::compare::Difference;
use super::label_maps::StoredMaps;
use super::picture::View;
use super::samples::png;
use crate::data::annotated::DataError;
use crate::viz::{Ground, PictureRow, PictureTable, overlay};

/// How strongly labels cover a picture.
const OPACITY: f32 = 0.55;
/// Side of a cell, pixels.
const CELL: u32 = 192;

/// A run and what it segmented.
#[derive(Debug)]
pub struct RunMaps {
    /// As the user named it.
    pub name: String,
    /// Its label maps.
    pub stored: StoredMaps,
}

/// Draws the images that a difference names, all runs side by side, as PNG under a name of its own. `None` for
/// differences under another protocol than the one the maps were stored under: their squares are others.
///
/// `values` gives the value of a run for an image.
///
/// # Errors
/// Runs that were not stored on the same square; images and annotations that cannot be read.
pub fn draw(
    difference: &Difference,
    runs: &[RunMaps],
    data: &ValidationSet,
    values: impl Fn(&str, &Difference, &str) -> Option<f64>,
) -> Result<Option<(String, Vec<u8>)>, EvalError> {
    let Some(first) = runs.first() else { return Ok(None) };
    let protocol = &first.stored.protocol;
    if let Some(other) = runs.iter().find(|run| run.stored.protocol != *protocol) {
        return Err(EvalError::Spec {
            key: "protocols",
            problem: format!(
                "differ: `{}` was stored under `{}`, `{}` under `{}`; evaluate both with the same first protocol",
                first.name, protocol.id, other.name, other.stored.protocol.id
            ),
        });
    }
    if difference.protocol != protocol.id {
        return Ok(None);
    }
    let mut table = PictureTable::new(CELL);
    for (image, change) in &difference.largest {
        let Some(picture) = data.pictures().iter().find(|picture| picture.name == *image) else { continue };
        if let Some(row) = row(difference, *change, picture, runs, data, protocol, &values)? {
            table.push(row);
        }
    }
    let place = runs.iter().position(|run| run.name == difference.runs[1]).unwrap_or_default();
    let file = format!("{}-{}-{place}.png", protocol.id.replace(['/', '@'], "-"), difference.metric);
    Ok(Some((file, png(&table.draw())?)))
}

/// Image, truth, and every run with its value; `None` where the protocol leaves the image out.
fn row(
    difference: &Difference,
    change: f64,
    picture: &Picture,
    runs: &[RunMaps],
    data: &ValidationSet,
    protocol: &Protocol,
    values: &impl Fn(&str, &Difference, &str) -> Option<f64>,
) -> Result<Option<PictureRow>, EvalError> {
    let truths = data.annotations().truths(picture, std::slice::from_ref(protocol))?;
    let Some(truth) = truths.into_iter().next().flatten() else { return Ok(None) };
    let view = View { size: protocol.mask_size, ..View::of(protocol) };
    let square = view
        .square(&data.decode(picture)?)
        .map_err(|source| DataError::Picture { path: data.path(picture), source })?;
    let mut cells = vec![
        (square.clone(), vec!["image".to_owned()]),
        (over(&square, &truth.instances, Ground::Clear), vec!["truth".to_owned()]),
    ];
    for run in runs {
        let Some(map) = run.stored.maps.get(&picture.name) else { continue };
        let value = values(&run.name, difference, &picture.name);
        let value = value.map_or_else(String::new, |value| format!("{} {value:.3}", difference.metric));
        cells.push((over(&square, map, Ground::Painted), vec![tail(&run.name), value]));
    }
    let heading = format!("{}  {} {change:+.3}  ({})", picture.name, difference.metric, protocol.id);
    Ok(Some(PictureRow { heading, cells }))
}

fn over(square: &RgbImage, labels: &LabelMap, ground: Ground) -> RgbImage {
    // Pixels left out carry the highest labels, which have colours of their own.
    overlay(square, labels.labels(), labels.width() as u32, OPACITY, ground)
}

/// The end of a long name, which tells runs apart better than its head.
fn tail(name: &str) -> String {
    const LETTERS: usize = 31;
    let count = name.chars().count();
    if count <= LETTERS {
        name.to_owned()
    } else {
        format!("…{}", name.chars().skip(count + 1 - LETTERS).collect::<String>())
    }
}
