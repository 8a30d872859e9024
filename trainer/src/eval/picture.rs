//! Validation pictures as the encoder sees them.

use glass_metrics::{Placement, Resampling};
use glass_nets::NetsError;
use glass_nets::image::{Filter, resize, resize_bilinear_half_pixel};
use image::{RgbImage, imageops};

/// The centre square of the picture, shortest side scaled to `size` pixels.
///
/// # Errors
/// Where the resized picture would be unreasonably large.
pub fn square(picture: &RgbImage, size: u32, resampling: Resampling) -> Result<RgbImage, NetsError> {
    let place = Placement::of(picture.width() as usize, picture.height() as usize, size as usize);
    let (width, height) = (place.width as u32, place.height as u32);
    let resized = match resampling {
        _ if picture.dimensions() == (width, height) => picture.clone(),
        Resampling::Bilinear => resize_bilinear_half_pixel(picture, width, height),
        Resampling::BilinearAntialiased => resize(picture, width, height, Filter::Bilinear)?,
        Resampling::BicubicAntialiased => resize(picture, width, height, Filter::Bicubic)?,
    };
    Ok(imageops::crop_imm(&resized, place.left as u32, place.top as u32, size, size).to_image())
}
