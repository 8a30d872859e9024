//! Where the files of a drawing lie.

use std::collections::BTreeSet;

use anyhow::Context as _;
use image::RgbImage;

use crate::eval::samples::png;

/// A folder of results that may be there in part: what is there is not drawn again.
pub trait Shelf {
    /// Names of the files that are there.
    ///
    /// # Errors
    /// Where the folder cannot be listed.
    fn names(&self) -> anyhow::Result<BTreeSet<String>>;

    /// A file that is there.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn get(&self, name: &str) -> anyhow::Result<Vec<u8>>;

    /// Writes a file whole.
    ///
    /// # Errors
    /// Where it cannot be written, or the process is asked to stop.
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> anyhow::Result<()>;
}

/// Writes a picture as PNG, which loses nothing.
///
/// # Errors
/// As [`Shelf::put`].
pub fn put_picture(shelf: &mut dyn Shelf, name: &str, picture: &RgbImage) -> anyhow::Result<()> {
    shelf.put(name, png(picture)?)
}

/// Reads a picture back.
///
/// # Errors
/// As [`Shelf::get`], and where it is no picture.
pub fn get_picture(shelf: &dyn Shelf, name: &str) -> anyhow::Result<RgbImage> {
    glass_nets::image::decode(&shelf.get(name)?).with_context(|| format!("`{name}`"))
}

/// Writes the index of a drawing, the sign that its other files are there.
///
/// # Errors
/// As [`Shelf::put`].
pub fn put_index(shelf: &mut dyn Shelf, name: &str, index: &impl serde::Serialize) -> anyhow::Result<()> {
    shelf.put(name, serde_json::to_vec_pretty(index)?)
}
