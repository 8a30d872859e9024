//! `benchmark.html`: one file that needs nothing beside it.

mod forest;
mod numbers;
mod pictures;
mod training;

use std::path::Path;

use super::outcome::Benchmark;
use super::runs::Measured;
use super::table::budget;
use crate::report::html::Page;

/// The metric that methods are ranked by.
const RANKED_BY: (&str, &str) = ("miou_i", "mIoU_i");

/// The page as text.
///
/// # Errors
/// Where pictures of an evaluation cannot be read.
pub(super) fn draw(made: &Benchmark, measured: &[Measured], out: &Path) -> anyhow::Result<String> {
    let mut page = Page::new("Methods beside one another");
    page.paragraph(&format!(
        "{}; seeds {:?}. {} validation images. Every number stands under the protocol that it was computed \
         by; protocols differ in what counts as an object, so numbers of different protocols do not compare.",
        capital(&budget(made)),
        made.seeds,
        made.images
    ));
    numbers::headline(&mut page, made);
    numbers::differences(&mut page, made);
    numbers::published(&mut page, made)?;
    pictures::side_by_side(&mut page, made, out)?;
    training::curves(&mut page, made, measured);
    numbers::other_protocols(&mut page, made);
    numbers::other_masks(&mut page, made);
    numbers::runs(&mut page, made);
    Ok(page.finish())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
