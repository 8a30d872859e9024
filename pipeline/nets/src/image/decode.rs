//! JPEG, PNG and WebP of any colour type to 8-bit RGB.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::error::{NetsError, Result};

/// The largest picture that is decoded: a header of a few bytes may ask for any amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Pixels on the longer side.
    pub max_side: u32,
    /// Pixels in all.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    /// 16,384 pixels a side and 90 million in all, where Pillow begins to warn of decompression bombs.
    fn default() -> Self {
        Self { max_side: 16_384, max_pixels: 90_000_000 }
    }
}

/// Decodes a picture within the default limits.
///
/// # Errors
/// As [`decode_within`].
pub fn decode(bytes: &[u8]) -> Result<RgbImage> {
    decode_within(bytes, DecodeLimits::default())
}

/// Decodes a picture as Pillow's `Image.open(…).convert("RGB")` does: grey is repeated, alpha is dropped
/// without blending, CMYK is converted, of 16 bits the upper eight are kept, the first frame of an
/// animation is taken and an EXIF orientation is not applied.
///
/// # Errors
/// [`NetsError::Image`] when the bytes are no JPEG, PNG or WebP, are damaged or end too early;
/// [`NetsError::ImageTooLarge`] before anything of that size is allocated.
pub fn decode_within(bytes: &[u8], limits: DecodeLimits) -> Result<RgbImage> {
    let error = |message: String| NetsError::Image { message };
    if bytes.is_empty() {
        return Err(error("the file is empty".to_owned()));
    }
    let format = image::guess_format(bytes)
        .ok()
        .filter(|format| matches!(format, ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP))
        .ok_or_else(|| error("the file is neither JPEG, PNG nor WebP".to_owned()))?;
    let name = format!("{format:?}").to_uppercase();
    if format == ImageFormat::Jpeg && !jpeg_ends(bytes) {
        return Err(error("the JPEG ends too early".to_owned()));
    }
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(|e| error(format!("{name}: {e}")))?;
    let (width, height) = decoder.dimensions();
    check(width, height, limits)?;
    // Room for 16 bits with alpha and the decoder's own copy.
    let mut memory = Limits::no_limits();
    memory.max_alloc = Some(limits.max_pixels.saturating_mul(20));
    decoder.set_limits(memory).map_err(|e| error(format!("{name}: {e}")))?;
    let picture = DynamicImage::from_decoder(decoder).map_err(|e| error(format!("{name}: {e}")))?;
    Ok(to_rgb(picture))
}

fn check(width: u32, height: u32, limits: DecodeLimits) -> Result<()> {
    let too_large = |limit: String| NetsError::ImageTooLarge { width, height, limit };
    if width == 0 || height == 0 {
        return Err(NetsError::Image { message: format!("the picture has {width}x{height} pixels") });
    }
    if width.max(height) > limits.max_side {
        return Err(too_large(format!("{} pixels a side", limits.max_side)));
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(too_large(format!("{} pixels", limits.max_pixels)));
    }
    Ok(())
}

fn to_rgb(picture: DynamicImage) -> RgbImage {
    let upper = |v: u16| (v >> 8) as u8;
    match picture {
        DynamicImage::ImageLuma16(p) => map(p.width(), p.height(), p.pixels().map(|p| [upper(p.0[0]); 3])),
        DynamicImage::ImageLumaA16(p) => map(p.width(), p.height(), p.pixels().map(|p| [upper(p.0[0]); 3])),
        DynamicImage::ImageRgb16(p) => map(p.width(), p.height(), p.pixels().map(|p| p.0.map(upper))),
        DynamicImage::ImageRgba16(p) => {
            map(p.width(), p.height(), p.pixels().map(|p| [upper(p.0[0]), upper(p.0[1]), upper(p.0[2])]))
        }
        other => other.into_rgb8(),
    }
}

fn map(width: u32, height: u32, pixels: impl Iterator<Item = [u8; 3]>) -> RgbImage {
    let mut out = RgbImage::new(width, height);
    for (to, from) in out.pixels_mut().zip(pixels) {
        to.0 = from;
    }
    out
}

/// Whether the JPEG has an end marker after its first scan begins.
///
/// The decoder fills what is missing with grey; a picture that was cut off must not pass as whole. Inside
/// the compressed data `FF` is always followed by `00`, so the marker cannot occur there by chance.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4).and_then(|s| s.first_chunk::<4>()) {
        match marker {
            0xFF => at += 1,
            0xDA => return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]),
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}
