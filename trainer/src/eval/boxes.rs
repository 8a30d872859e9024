//! Boxes of annotated objects as the encoder sees a picture.

use glass_metrics::Placement;

use super::picture::View;
use crate::data::ObjectBox;
use crate::data::annotated::PixelBox;

/// The boxes of a picture of `size` (width, height) in the square of a view; what lies outside is cut off, and no box is
/// dropped for it.
pub fn boxes(found: &[PixelBox], size: [usize; 2], view: View) -> Vec<ObjectBox> {
    let [width, height] = size;
    let place = Placement::of(width, height, view.size as usize, view.placement);
    let axes = [(width, place.width, place.left), (height, place.height, place.top)];
    let seen = |object: &PixelBox| {
        let mut corners = [0.0; 4];
        for (index, corner) in corners.iter_mut().enumerate() {
            let (from, to, offset) = axes[index % 2];
            let pixels = object.corners[index] * to as f64 / from.max(1) as f64 - offset as f64;
            *corner = (pixels / f64::from(view.size)).clamp(0.0, 1.0) as f32;
        }
        ObjectBox { corners, class: object.class }
    };
    found.iter().map(seen).collect()
}
