//! `trainer generate`: validation pictures drawn again from their slots.

use std::collections::BTreeSet;

use burn::tensor::Tensor;
use glass_schemas::spec::evaluation::InitialNoise;
use image::RgbImage;
use serde::Serialize;

use super::job::Studio;
use super::shelf::{Shelf, get_picture, put_index, put_picture};
use crate::decoders::Sampling;
use crate::eval::annotations::Picture;
use crate::eval::samples::png;
use crate::viz::Sheet;

/// Pictures in a row of the grid; each takes two cells.
const PAIRS_IN_A_ROW: u32 = 4;
/// Pairs in the grid: more cannot be looked at.
const PAIRS: usize = 32;
/// Pixels of a cell.
const CELL: u32 = 128;
/// Batch of the GLASS release, within which pictures have latents of their own.
const RELEASE_BATCH: usize = 64;

/// One picture in `generated.json`.
#[derive(Debug, Serialize)]
struct Entry {
    image: String,
    file: String,
}

/// The file of the picture at a place of the validation set.
pub fn file_name(place: usize) -> String {
    format!("{place:05}.png")
}

/// Draws the pictures that are not there yet, then the grid `input | reconstruction` and last the index.
///
/// # Errors
/// Where a picture or a network cannot be used, or the shelf refuses.
pub fn draw_all(
    studio: &Studio<'_>,
    pictures: &[Picture],
    noise: InitialNoise,
    sampling: &Sampling,
    head: impl Serialize,
    shelf: &mut dyn Shelf,
) -> anyhow::Result<()> {
    let there = shelf.names()?;
    for (number, batch) in pictures.chunks(studio.batch).enumerate() {
        draw_batch(studio, batch, number * studio.batch, noise, sampling, &there, shelf)?;
    }
    let mut sheet = Sheet::new(2 * PAIRS_IN_A_ROW, CELL, 4);
    for (place, picture) in pictures.iter().take(PAIRS).enumerate() {
        sheet.push(&studio.reader().square(picture)?).push(&get_picture(shelf, &file_name(place))?);
    }
    shelf.put("grid.png", png(&sheet.draw())?)?;

    #[derive(Serialize)]
    struct Index<H> {
        #[serde(flatten)]
        head: H,
        grid: &'static str,
        pictures: Vec<Entry>,
    }
    let entry = |(place, picture): (usize, &Picture)| Entry { image: picture.name.clone(), file: file_name(place) };
    let entries = pictures.iter().enumerate().map(entry).collect();
    put_index(shelf, "generated.json", &Index { head, grid: "grid.png", pictures: entries })
}

fn draw_batch(
    studio: &Studio<'_>,
    pictures: &[Picture],
    first: usize,
    noise: InitialNoise,
    sampling: &Sampling,
    there: &BTreeSet<String>,
    shelf: &mut dyn Shelf,
) -> anyhow::Result<()> {
    let numbered = pictures.iter().enumerate().map(|(at, picture)| (first + at, picture));
    let missing: Vec<(usize, &Picture)> = numbered.filter(|(place, _)| !there.contains(&file_name(*place))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let wanted: Vec<&Picture> = missing.iter().map(|(_, picture)| *picture).collect();
    let scenes = studio.reader().read(&wanted)?;
    let slots = Tensor::stack(scenes.iter().map(|scene| scene.slots.clone()).collect(), 0);
    let subjects: Vec<String> = missing
        .iter()
        .map(|(place, picture)| match noise {
            InitialNoise::Picture => picture.name.clone(),
            InitialNoise::ReleaseBatch => format!("place {}", place % RELEASE_BATCH),
        })
        .collect();
    let subjects: Vec<&str> = subjects.iter().map(String::as_str).collect();
    let drawings: Vec<RgbImage> = studio.painter.draw(slots, &subjects, sampling)?;
    for ((place, _), drawing) in missing.iter().zip(&drawings) {
        put_picture(shelf, &file_name(*place), drawing)?;
    }
    Ok(())
}
