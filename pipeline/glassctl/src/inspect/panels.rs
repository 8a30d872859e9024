//! Pictures beside each other.

use anyhow::Context;
use glass_schemas::dataset::{EncodedImage, MaskRow, UNCERTAIN};
use image::{GrayImage, Luma, Rgb, RgbImage, imageops};

use crate::joined::labels;
use crate::report::pictures::overlay;

/// Pixels between pictures.
const GAP: u32 = 4;
const PAPER: Rgb<u8> = Rgb([255; 3]);

/// A stored picture.
pub(super) fn picture(image: &EncodedImage) -> anyhow::Result<RgbImage> {
    Ok(image::load_from_memory(&image.bytes).context("cannot read a generated image")?.to_rgb8())
}

/// The mask over its picture.
pub(super) fn masked(picture: &RgbImage, mask: &MaskRow) -> anyhow::Result<RgbImage> {
    Ok(overlay(picture, &labels(&mask.mask)?, &order(mask)))
}

/// The picture, the mask over it, and each class alone, in the colour it has there.
pub(super) fn panels(picture: &RgbImage, mask: &MaskRow) -> anyhow::Result<RgbImage> {
    let (labels, order) = (labels(&mask.mask)?, order(mask));
    let mut panels = vec![picture.clone(), overlay(picture, &labels, &order)];
    panels.extend(order.iter().map(|&class| overlay(picture, &only(&labels, class), &order)));
    Ok(grid(&panels, panels.len()))
}

/// The classes in the order of their colours.
fn order(mask: &MaskRow) -> Vec<u32> {
    mask.classes.iter().map(|class| class.id).collect()
}

/// One class and what is uncertain; the others become ground.
fn only(labels: &GrayImage, class: u32) -> GrayImage {
    let keep = |label: u8| u32::from(label) == class || label == UNCERTAIN;
    GrayImage::from_fn(labels.width(), labels.height(), |x, y| {
        let label = labels.get_pixel(x, y)[0];
        Luma([if keep(label) { label } else { 0 }])
    })
}

/// Pictures row by row, all cells as large as the largest picture.
pub(super) fn grid(pictures: &[RgbImage], columns: usize) -> RgbImage {
    let largest = |side: fn(&RgbImage) -> u32| pictures.iter().map(side).max().unwrap_or_default();
    let (width, height) = (largest(RgbImage::width) + GAP, largest(RgbImage::height) + GAP);
    let columns = columns.clamp(1, pictures.len().max(1));
    let rows = pictures.len().div_ceil(columns);
    let (across, down) = (columns as u32 * width, rows as u32 * height);
    let mut canvas = RgbImage::from_pixel(across.saturating_sub(GAP), down.saturating_sub(GAP), PAPER);
    for (place, picture) in pictures.iter().enumerate() {
        let (x, y) = ((place % columns) as u32 * width, (place / columns) as u32 * height);
        imageops::replace(&mut canvas, picture, i64::from(x), i64::from(y));
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_row_by_row_with_a_gap() {
        let tile = |value| RgbImage::from_pixel(2, 3, Rgb([value; 3]));
        let sheet = grid(&[tile(1), tile(2), tile(3)], 2);
        assert_eq!(sheet.dimensions(), (2 + GAP + 2, 3 + GAP + 3));
        assert_eq!(sheet.get_pixel(0, 0), &Rgb([1; 3]));
        assert_eq!(sheet.get_pixel(2 + GAP, 0), &Rgb([2; 3]));
        assert_eq!(sheet.get_pixel(0, 3 + GAP), &Rgb([3; 3]));
        assert_eq!(sheet.get_pixel(2, 0), &PAPER);
        assert_eq!(sheet.get_pixel(2 + GAP, 3 + GAP), &PAPER);
    }

    #[test]
    fn a_class_alone_keeps_what_is_uncertain() {
        let labels = GrayImage::from_fn(4, 1, |x, _| Luma([[0, 6, 7, UNCERTAIN][x as usize]]));
        assert_eq!(only(&labels, 7).into_raw(), [0, 0, 7, UNCERTAIN]);
    }
}
