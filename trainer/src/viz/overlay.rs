use image::{Rgb, RgbImage, imageops};

use super::palette::colour;

/// What label 0 looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// Label 0 is "no object": the picture shows through.
    Clear,
    /// Label 0 is a label like any other (slots).
    Painted,
}

const EDGE: Rgb<u8> = Rgb([255, 255, 255]);

/// Paints `labels` (row-major, `side` × `side`) over the picture, which is scaled to the same side.
///
/// `opacity` in [0, 1]. Borders between labels are drawn in white.
pub fn overlay(picture: &RgbImage, labels: &[u16], side: u32, opacity: f32, ground: Ground) -> RgbImage {
    let mut canvas = if picture.dimensions() == (side, side) {
        picture.clone()
    } else {
        imageops::resize(picture, side, side, imageops::FilterType::Triangle)
    };
    let label_at = |x: u32, y: u32| labels.get((y * side + x) as usize).copied().unwrap_or(0);
    for (x, y, pixel) in canvas.enumerate_pixels_mut() {
        let label = label_at(x, y);
        let differs = |other: u16| other != label;
        if (x + 1 < side && differs(label_at(x + 1, y))) || (y + 1 < side && differs(label_at(x, y + 1))) {
            *pixel = EDGE;
        } else if label != 0 || ground == Ground::Painted {
            *pixel = blend(*pixel, colour(label), opacity);
        }
    }
    canvas
}

/// The label map alone, in the table's colours.
pub fn paint(labels: &[u16], side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| colour(labels.get((y * side + x) as usize).copied().unwrap_or(0)))
}

fn blend(below: Rgb<u8>, above: Rgb<u8>, opacity: f32) -> Rgb<u8> {
    let mix = |a: u8, b: u8| (f32::from(a) * (1.0 - opacity) + f32::from(b) * opacity).round() as u8;
    Rgb([mix(below.0[0], above.0[0]), mix(below.0[1], above.0[1]), mix(below.0[2], above.0[2])])
}
