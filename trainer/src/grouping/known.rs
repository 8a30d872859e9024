//! What weakly supervised methods tell slots about the objects of a picture.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use glass_schemas::spec::trainer::{InitialSlots, KnownCount, SlotsSpec};

use crate::data::ObjectBox;
use crate::initializers::{BOX_SIDE, NO_BOX};

/// What is known of the objects of a batch; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// `[batch, slots, 4]` in pixels of a picture of [`BOX_SIDE`]; −1 where a slot has no box.
    pub boxes: Option<Tensor<3>>,
    /// How many slots of each sample take part.
    pub counts: Option<Vec<usize>>,
}

impl Known {
    /// What the spec uses of the boxes of each sample, for `slots` slots.
    pub fn new(spec: &SlotsSpec, slots: usize, boxes: &[Vec<ObjectBox>], device: &Device) -> Self {
        Self {
            boxes: (spec.initial == InitialSlots::Boxes).then(|| rows(slots, boxes, device)),
            counts: match spec.known_count {
                KnownCount::Off => None,
                KnownCount::Objects => Some(counts(slots, boxes, 0)),
                KnownCount::ObjectsAndBackground => Some(counts(slots, boxes, 1)),
            },
        }
    }

    /// Whether the spec uses boxes at all.
    pub fn is_used(spec: &SlotsSpec) -> bool {
        spec.initial == InitialSlots::Boxes || spec.known_count != KnownCount::Off
    }

    /// Which rows of the attention `[batch, heads · slots, tokens]` take no part: a mask that is
    /// true there, `[batch, heads · slots, 1]`.
    pub(super) fn absent(&self, heads: usize, slots: usize, device: &Device) -> Option<Tensor<3, Bool>> {
        let counts = self.counts.as_ref()?;
        let absent: Vec<bool> =
            counts.iter().flat_map(|&count| (0..heads * slots).map(move |row| row % slots >= count)).collect();
        let shape = [counts.len(), heads * slots, 1];
        Some(Tensor::from_data(TensorData::new(absent, shape), device))
    }
}

/// The first boxes of each sample, one a slot.
fn rows(slots: usize, boxes: &[Vec<ObjectBox>], device: &Device) -> Tensor<3> {
    let mut numbers = Vec::with_capacity(boxes.len() * slots * 4);
    for boxes in boxes {
        for slot in 0..slots {
            let row = boxes.get(slot).map_or([NO_BOX; 4], |object| object.corners.map(|x| x * BOX_SIDE));
            numbers.extend(row);
        }
    }
    Tensor::from_data(TensorData::new(numbers, [boxes.len(), slots, 4]), device)
}

/// Objects and `more`, at least one slot and at most all.
fn counts(slots: usize, boxes: &[Vec<ObjectBox>], more: usize) -> Vec<usize> {
    boxes.iter().map(|boxes| (boxes.len() + more).clamp(1, slots)).collect()
}
