//! Masks and maps as pictures.

use std::io::Cursor;

use anyhow::Context;
use glass_schemas::dataset::UNCERTAIN;
use image::{GrayImage, ImageFormat, Rgb, RgbImage};

/// Colours of up to eight classes of one image; the ground keeps the picture, dimmed.
const COLOURS: [[u8; 3]; 8] = [
    [230, 60, 60],
    [60, 120, 230],
    [60, 180, 90],
    [240, 170, 40],
    [160, 80, 200],
    [40, 190, 200],
    [240, 110, 180],
    [140, 110, 70],
];
const UNDECIDED: [u8; 3] = [200, 200, 200];

/// A label map over its picture. `order` lists the class ids in the order of the colours.
pub(super) fn mask(picture: &RgbImage, mask: &GrayImage, order: &[u32]) -> anyhow::Result<Vec<u8>> {
    png(&overlay(picture, mask, order))
}

/// The same before it is encoded.
pub(crate) fn overlay(picture: &RgbImage, mask: &GrayImage, order: &[u32]) -> RgbImage {
    let blend = |pixel: &Rgb<u8>, label: u8| {
        let colour = match label {
            UNCERTAIN => Some(UNDECIDED),
            label => {
                let place = order.iter().position(|&id| id == u32::from(label));
                place.map(|place| COLOURS[place % COLOURS.len()])
            }
        };
        match colour {
            Some(colour) => Rgb([0, 1, 2].map(|c| mix(pixel[c], colour[c], 0.7))),
            None => Rgb(pixel.0.map(|value| mix(value, 0, 0.6))),
        }
    };
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (sx, sy) = (x * mask.width() / picture.width(), y * mask.height() / picture.height());
        blend(picture.get_pixel(x, y), mask.get_pixel(sx, sy)[0])
    })
}

fn mix(from: u8, to: u8, share: f32) -> u8 {
    (f32::from(from) * (1.0 - share) + f32::from(to) * share).round() as u8
}

/// A square map of values as a heat map from black over red to white.
pub(super) fn heat(values: &[f32], side: u32) -> anyhow::Result<Vec<u8>> {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = (high - low).max(f32::MIN_POSITIVE);
    let picture = RgbImage::from_fn(side, side, |x, y| {
        let value = values.get((y * side + x) as usize).copied().unwrap_or(low);
        let heat = (value - low) / range * 3.0;
        Rgb([0.0, 1.0, 2.0].map(|from| ((heat - from).clamp(0.0, 1.0) * 255.0) as u8))
    });
    png(&picture)
}

/// PNG file contents.
pub(crate) fn png(picture: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).context("cannot encode a picture")?;
    Ok(bytes.into_inner())
}
