//! Validation pictures as the encoder sees them.

use glass_metrics::{Placement, PlacementRule, Protocol, Resampling};
use glass_nets::NetsError;
use glass_nets::image::{Filter, resize, resize_bilinear_half_pixel};
use image::{RgbImage, imageops};

/// How a picture is brought to the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Side of the square in pixels.
    pub size: u32,
    /// How the picture is resized.
    pub resampling: Resampling,
    /// How the square is placed.
    pub placement: PlacementRule,
}

impl View {
    /// What a protocol says.
    pub fn of(protocol: &Protocol) -> Self {
        Self { size: protocol.input_size, resampling: protocol.resampling, placement: protocol.placement }
    }

    /// The centre square of the picture, shortest side scaled to the size of the view.
    ///
    /// # Errors
    /// Where the resized picture would be unreasonably large.
    pub fn square(self, picture: &RgbImage) -> Result<RgbImage, NetsError> {
        let Self { size, resampling, placement } = self;
        let place = Placement::of(picture.width() as usize, picture.height() as usize, size as usize, placement);
        let (width, height) = (place.width as u32, place.height as u32);
        let resized = match resampling {
            _ if picture.dimensions() == (width, height) => picture.clone(),
            Resampling::Bilinear => resize_bilinear_half_pixel(picture, width, height),
            Resampling::BilinearAntialiased => resize(picture, width, height, Filter::Bilinear)?,
            Resampling::BicubicAntialiased => resize(picture, width, height, Filter::Bicubic)?,
        };
        Ok(imageops::crop_imm(&resized, place.left as u32, place.top as u32, size, size).to_image())
    }
}
