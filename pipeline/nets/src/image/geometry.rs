//! Cropping, and the resampling without antialias that evaluation uses.

use image::RgbImage;

/// Cuts `width` x `height` out of the middle; a picture that is smaller is put in the middle of black.
///
/// Reproduces transformers' `center_crop`, whose odd pixel is cut off on the right and added on the left.
pub fn center_crop(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    let offset = |have: u32, want: u32| (i64::from(have) - i64::from(want)).div_euclid(2);
    let (left, top) = (offset(picture.width(), width), offset(picture.height(), height));
    RgbImage::from_fn(width, height, |x, y| {
        let inside = |at: i64, size: u32| u32::try_from(at).ok().filter(|at| *at < size);
        match (inside(left + i64::from(x), picture.width()), inside(top + i64::from(y), picture.height())) {
            (Some(x), Some(y)) => *picture.get_pixel(x, y),
            _ => image::Rgb([0; 3]),
        }
    })
}

/// Bilinear resampling of 8-bit pixels with half-pixel centres and without antialias: the weights of 11
/// bits and the rounding of OpenCV's `INTER_LINEAR`.
pub fn resize_bilinear_half_pixel(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (columns, rows) = (taps(picture.width(), width), taps(picture.height(), height));
    RgbImage::from_fn(width, height, |x, y| {
        let ((x0, x1, wx), (y0, y1, wy)) = (columns[x as usize], rows[y as usize]);
        let mut out = [0; 3];
        for (channel, out) in out.iter_mut().enumerate() {
            let value = |x: u32, y: u32| i32::from(picture.get_pixel(x, y).0[channel]);
            let blend = |y: u32| value(x0, y) * (ONE - wx) + value(x1, y) * wx;
            let upper = ((ONE - wy) * (blend(y0) >> 4)) >> 16;
            let lower = (wy * (blend(y1) >> 4)) >> 16;
            *out = ((upper + lower + 2) >> 2).clamp(0, 255) as u8;
        }
        image::Rgb(out)
    })
}

const ONE: i32 = 1 << 11;

/// For each pixel of the result its two source pixels and the weight of the second, in 1/2048.
fn taps(input: u32, output: u32) -> Vec<(u32, u32, i32)> {
    let scale = f64::from(input) / f64::from(output);
    (0..output)
        .map(|out| {
            let at = ((f64::from(out) + 0.5) * scale - 0.5) as f32;
            let floor = at.floor();
            if floor < 0.0 {
                return (0, 0, 0);
            }
            let first = (floor as u32).min(input - 1);
            if first + 1 >= input {
                return (first, first, 0);
            }
            (first, first + 1, ((at - floor) * ONE as f32).round_ties_even() as i32)
        })
        .collect()
}
