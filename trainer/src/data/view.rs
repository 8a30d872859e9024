//! How a real picture becomes the square that a visit sees.

use glass_metrics::{Nearest, Placement, PlacementRule, Sampling};
use glass_nets::image::{Filter, resize};
use glass_schemas::seeds::Purpose;
use glass_schemas::spec::trainer::{Crop, DataSpec, TrainingResampling};
use image::{RgbImage, imageops};

use super::{ObjectBox, Side, Visit, visit_stream};
use crate::data::annotated::PixelBox;
use crate::error::Result;

/// Shortest side resized by Pillow's antialiased filter, a square cut out, perhaps mirrored: torchvision's `Resize`
/// and `CenterCrop` or `RandomCrop`, which all published training codes use.
#[derive(Debug, Clone, Copy)]
pub struct TrainingView {
    filter: Filter,
    crop: Crop,
    seed: u64,
}

impl TrainingView {
    /// As the spec says; `seed` draws where random squares are cut.
    pub fn new(spec: &DataSpec, seed: u64) -> Self {
        let filter = match spec.resampling {
            TrainingResampling::Bilinear => Filter::Bilinear,
            TrainingResampling::Bicubic => Filter::Bicubic,
        };
        Self { filter, crop: spec.crop, seed }
    }

    /// Whether all visits of a sample see the same square.
    pub fn is_fixed(&self) -> bool {
        self.crop == Crop::Centre
    }

    /// Where the square of `size` pixels lies. A visit cuts squares of all sizes at the same share of the surplus.
    pub fn place(&self, visit: &Visit, (width, height): (usize, usize), size: usize) -> Placement {
        let mut place = Placement::of(width, height, size, PlacementRule::Truncated);
        if self.crop == Crop::Random {
            let stream = visit_stream(self.seed, Purpose::Crop, visit);
            // Every offset from none to the whole surplus is as likely as any other.
            let offset = |at: u64, surplus: usize| stream.below(at, surplus as u64 + 1) as usize;
            place.left = offset(0, place.width - size);
            place.top = offset(1, place.height - size);
        }
        place
    }

    /// The square of `size` pixels that the visit sees.
    ///
    /// # Errors
    /// Where the resized picture would be unreasonably large.
    pub fn square(&self, visit: &Visit, picture: &RgbImage, size: u32) -> Result<RgbImage> {
        let place = self.place(visit, (picture.width() as usize, picture.height() as usize), size as usize);
        let (width, height) = (place.width as u32, place.height as u32);
        let resized = match picture.dimensions() == (width, height) {
            true => picture.clone(),
            false => resize(picture, width, height, self.filter)?,
        };
        let mut square = imageops::crop_imm(&resized, place.left as u32, place.top as u32, size, size).to_image();
        if visit.side == Side::Mirrored {
            imageops::flip_horizontal_in_place(&mut square);
        }
        Ok(square)
    }

    /// The pixels of a label map that the visit sees, not mirrored (torchvision resizes maps as Pillow does).
    pub fn sampling(&self, visit: &Visit, source: (usize, usize), size: usize) -> Sampling {
        Sampling::placed(&self.place(visit, source, size), Nearest::Centre, source, size)
    }

    /// Boxes as the visit sees them, clipped to its square and none dropped (GLASS evaluation code); `size` is that of
    /// the square that the encoder sees.
    pub fn boxes(&self, visit: &Visit, boxes: &[PixelBox], source: (usize, usize), size: usize) -> Vec<ObjectBox> {
        let place = self.place(visit, source, size);
        let scale = [place.width as f64 / source.0.max(1) as f64, place.height as f64 / source.1.max(1) as f64];
        let start = [place.left as f64, place.top as f64];
        let seen = |object: &PixelBox| {
            let mut corners = [0.0; 4];
            for (axis, corner) in corners.iter_mut().enumerate() {
                let pixels = object.corners[axis] * scale[axis % 2] - start[axis % 2];
                *corner = (pixels / size as f64).clamp(0.0, 1.0) as f32;
            }
            let object = ObjectBox { corners, class: object.class };
            match visit.side {
                Side::Plain => object,
                Side::Mirrored => object.mirrored(),
            }
        };
        boxes.iter().map(seen).collect()
    }
}
