//! What training sees: samples by index, drawn in an order that is a function of the seed.

pub mod annotated;
pub mod check;

mod batch;
mod images;
mod latents;
mod local;
mod memory;
mod order;
mod prepare;
mod prepare_images;
mod rows;
mod unpacked;
mod view;

use burn::tensor::{Device, Tensor};

use glass_metrics::{GroundTruth, Mask};
use image::RgbImage;

pub use batch::Batch;
pub use images::{ImageEntry, ImageIndex, ImageSet};
pub use latents::LatentEncoder;
pub use local::{JoinCount, LocalSet, SetIndex};
pub use memory::MemorySet;
pub use order::{Order, Side, Visit, mirror, step_tokens, visit_stream};
pub use prepare::{Preparation, Upstream};
pub use prepare_images::ImagePreparation;
pub use rows::{RowWriter, Rows};
pub use unpacked::FeatureSource;
pub use view::TrainingView;

use crate::error::{Result, TrainerError};

/// A box that annotators drew around an object, as a visit sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObjectBox {
    /// Left, top, right and bottom edge as shares of the square's side, clipped to it: times the
    /// side they are pixels of a square of any size.
    pub corners: [f32; 4],
    /// Class, from 1.
    pub class: u16,
}

impl ObjectBox {
    /// The box as the mirrored square shows it.
    #[must_use]
    pub fn mirrored(self) -> Self {
        let [left, top, right, bottom] = self.corners;
        Self { corners: [1.0 - right, top, 1.0 - left, bottom], ..self }
    }
}

/// Boxes painted as masks, `side²` labels row by row: 0 where there is no box, `n` inside the n-th,
/// a later box over an earlier one (GLASS evaluation code, `bbox_to_mask`).
pub fn paint_boxes(boxes: &[ObjectBox], side: usize) -> Vec<u8> {
    let mut labels = vec![0; side * side];
    // Labels end before 255, which means "undecided" in every mask of a visit.
    for (index, object) in boxes.iter().enumerate().take(254) {
        let corners = object.corners.map(|corner| f64::from(corner) * side as f64);
        let mask = Mask::of_box(side, side, corners);
        for (label, _) in labels.iter_mut().zip(mask.bits()).filter(|(_, inside)| **inside) {
            *label = index as u8 + 1;
        }
    }
    labels
}

/// Samples that can be visited in any order.
pub trait TrainingSet: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that the frozen part of the encoder gives for a sample, and their width.
    fn feature_shape(&self) -> [usize; 2];

    /// What the frozen part of the encoder gives, `[visits, rows, size]`: features, or the states that
    /// its trained part goes on from.
    ///
    /// # Errors
    /// Where they cannot be read or computed.
    fn features(&self, visits: &[Visit], device: &Device) -> Result<Tensor<3>>;

    /// Pseudo-masks at the resolution of the guidance, one after the other.
    ///
    /// # Errors
    /// Where they cannot be read.
    fn masks(&self, visits: &[Visit]) -> Result<Vec<u8>>;

    /// How much each sample's semantic loss counts.
    fn weights(&self, visits: &[Visit]) -> Vec<f32>;

    /// Clean latents, scaled, `[visits, channels, height, width]`.
    ///
    /// # Errors
    /// Where they cannot be read or encoded.
    fn latents(&self, visits: &[Visit], device: &Device) -> Result<Tensor<4>>;

    /// One sample's picture.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn picture(&self, visit: &Visit) -> Result<RgbImage>;

    /// What a sample is called: its id or the name of its image.
    fn name(&self, sample: usize) -> String {
        sample.to_string()
    }

    /// The pictures of the visits, each as its visit sees it.
    ///
    /// # Errors
    /// Where one cannot be read.
    fn pictures(&self, visits: &[Visit]) -> Result<Vec<RgbImage>> {
        visits.iter().map(|visit| self.picture(visit)).collect()
    }

    /// Boxes around the objects of each visit, in the order of the annotations; crowds have none.
    ///
    /// # Errors
    /// Where the set has no annotations, or they cannot be read.
    fn boxes(&self, _visits: &[Visit]) -> Result<Vec<Vec<ObjectBox>>> {
        Err(unannotated("boxes"))
    }

    /// How many objects each visit shows: the number of its boxes. Background is not one of them.
    ///
    /// # Errors
    /// As [`TrainingSet::boxes`].
    fn object_counts(&self, visits: &[Visit]) -> Result<Vec<usize>> {
        Ok(self.boxes(visits)?.iter().map(Vec::len).collect())
    }

    /// Boxes painted as masks of `side`² labels, one visit after the other ([`paint_boxes`]).
    ///
    /// # Errors
    /// As [`TrainingSet::boxes`].
    fn box_masks(&self, visits: &[Visit], side: usize) -> Result<Vec<u8>> {
        Ok(self.boxes(visits)?.iter().flat_map(|boxes| paint_boxes(boxes, side)).collect())
    }

    /// What annotators say of each visit's pixels, `side` × `side`: for probing, not for training.
    ///
    /// # Errors
    /// Where the set has no annotations, or they cannot be read.
    fn objects(&self, _visits: &[Visit], _side: usize) -> Result<Vec<GroundTruth>> {
        Err(unannotated("object masks"))
    }
}

fn unannotated(what: &'static str) -> TrainerError {
    TrainerError::Spec {
        field: "trainer.data.source",
        message: format!("this set has no {what}: only annotated images have them"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ObjectBox, paint_boxes};

    fn object(corners: [f32; 4]) -> ObjectBox {
        ObjectBox { corners, class: 1 }
    }

    #[test]
    fn a_later_box_is_painted_over_an_earlier_one() {
        let boxes = [object([0.0, 0.0, 0.5, 1.0]), object([0.25, 0.5, 1.0, 1.0])];
        assert_eq!(paint_boxes(&boxes, 4), [1, 1, 0, 0, 1, 1, 0, 0, 1, 2, 2, 2, 1, 2, 2, 2]);
    }

    #[test]
    fn a_mirrored_box_is_painted_where_the_mirrored_picture_shows_it() {
        let boxes = [object([0.0, 0.25, 0.25, 0.75])];
        let mirrored = boxes.map(ObjectBox::mirrored);
        assert_eq!(super::mirror(&paint_boxes(&boxes, 8), 8, 1), paint_boxes(&mirrored, 8));
    }
}
