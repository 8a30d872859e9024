//! `trainer compose`: edits of slots, drawn from the same initial noise as the unedited picture, so that only the edit
//! can make a difference.

use burn::tensor::Tensor;
use glass_schemas::spec::evaluation::Edit;
use image::RgbImage;
use serde::Serialize;

use super::edits;
use super::objects::object_slots;
use super::painter::{Painter, Sampling};
use super::scene::Scene;
use crate::eval::EvalError;
use crate::eval::samples::png;
use crate::viz::{Ground, Sheet, overlay};

/// Pixels of a cell.
const CELL: u32 = 128;
/// Columns of the sheet: picture, slots, drawn from its slots, drawn after the edit.
const COLUMNS: u32 = 4;

/// One edited picture in `compositions.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Composition {
    /// What was done.
    pub edit: Edit,
    /// The picture that was edited.
    pub image: String,
    /// The slot that was taken out or replaced; none where one was added.
    pub slot: Option<usize>,
    /// The picture that a slot came from.
    pub other: Option<String>,
    /// That slot's number in its own picture.
    pub other_slot: Option<usize>,
    /// Slots after the edit.
    pub slots: usize,
    /// The picture drawn from unedited slots.
    pub before: String,
    /// The picture drawn after the edit.
    pub after: String,
}

/// Edited slots, before they are drawn.
pub struct Edited {
    /// `[slots, dim]`
    pub slots: Tensor<2>,
    /// Taken out or replaced.
    pub slot: Option<usize>,
    /// Came from the other picture.
    pub other_slot: Option<usize>,
}

/// Applies an edit to a pair: one result a picture, in the pair's order; `None` where a picture has no object slot to
/// edit. The objects are those of the largest masks.
pub fn apply(edit: Edit, first: &Scene, second: &Scene) -> [Option<Edited>; 2] {
    let a = object_slots(&first.masks).first().copied();
    let b = object_slots(&second.masks).first().copied();
    let alone = |slots: fn(Tensor<2>, usize) -> Tensor<2>, scene: &Scene, slot: Option<usize>| {
        slot.map(|slot| Edited { slots: slots(scene.slots.clone(), slot), slot: Some(slot), other_slot: None })
    };
    let added = |scene: &Scene, other: &Scene, slot: Option<usize>| {
        slot.map(|slot| Edited {
            slots: edits::add(scene.slots.clone(), other.slots.clone().narrow(0, slot, 1)),
            slot: None,
            other_slot: Some(slot),
        })
    };
    match (edit, a, b) {
        (Edit::Remove, ..) => [alone(edits::remove, first, a), alone(edits::remove, second, b)],
        (Edit::RemoveZeroed, ..) => [alone(edits::zero, first, a), alone(edits::zero, second, b)],
        (Edit::Add, ..) => [added(first, second, b), added(second, first, a)],
        (Edit::Swap, Some(a), Some(b)) => {
            let (left, right) = edits::swap(first.slots.clone(), a, second.slots.clone(), b);
            [
                Some(Edited { slots: left, slot: Some(a), other_slot: Some(b) }),
                Some(Edited { slots: right, slot: Some(b), other_slot: Some(a) }),
            ]
        }
        (Edit::Swap, ..) => [None, None],
    }
}

/// Draws pairs and keeps the index of what was exchanged.
#[derive(Default)]
pub struct Compositions {
    entries: Vec<Composition>,
    rows: Vec<[RgbImage; COLUMNS as usize]>,
    scenes: usize,
}

impl Compositions {
    /// Draws a pair, unedited and after every edit.
    ///
    /// # Errors
    /// Where the networks or the encoder of pictures refuse.
    pub fn draw(
        &mut self,
        painter: &Painter,
        pair: [&Scene; 2],
        kinds: &[Edit],
        sampling: &Sampling,
    ) -> Result<Vec<(String, Vec<u8>)>, EvalError> {
        let mut files = Vec::new();
        let number = self.scenes;
        self.scenes += 2;
        let mut unedited = Vec::new();
        for (at, scene) in pair.iter().enumerate() {
            let drawing = paint(painter, scene.slots.clone(), &scene.name, sampling)?;
            let file = format!("{:04}-before.png", number + at);
            files.push((file.clone(), png(&drawing)?));
            unedited.push((file, drawing));
        }
        for &kind in kinds {
            for (at, edited) in apply(kind, pair[0], pair[1]).into_iter().enumerate() {
                let Some(edited) = edited else { continue };
                let (scene, other) = (pair[at], pair[1 - at]);
                let slots = edited.slots.dims()[0];
                if slots == 0 {
                    continue;
                }
                let drawing = paint(painter, edited.slots, &scene.name, sampling)?;
                let file = format!("{:04}-{}.png", number + at, edit_name(kind));
                files.push((file.clone(), png(&drawing)?));
                let (before, plain) = &unedited[at];
                self.entries.push(Composition {
                    edit: kind,
                    image: scene.name.clone(),
                    slot: edited.slot,
                    other: edited.other_slot.map(|_| other.name.clone()),
                    other_slot: edited.other_slot,
                    slots,
                    before: before.clone(),
                    after: file,
                });
                self.rows.push([scene.pixels.clone(), masks(scene), plain.clone(), drawing]);
            }
        }
        Ok(files)
    }

    /// The sheet and the index; the index is the sign that everything is there.
    ///
    /// # Errors
    /// Where the sheet cannot be encoded.
    pub fn finish(self, head: impl Serialize) -> Result<Vec<(String, Vec<u8>)>, EvalError> {
        #[derive(Serialize)]
        struct Index<H> {
            #[serde(flatten)]
            head: H,
            sheet: &'static str,
            compositions: Vec<Composition>,
        }
        let mut sheet = Sheet::new(COLUMNS, CELL, 4);
        for picture in self.rows.iter().flatten() {
            sheet.push(picture);
        }
        let index = Index { head, sheet: "sheet.png", compositions: self.entries };
        let index = serde_json::to_vec_pretty(&index).map_err(|error| EvalError::Drawing(error.into()))?;
        Ok(vec![("sheet.png".into(), png(&sheet.draw())?), ("compositions.json".into(), index)])
    }
}

fn paint(painter: &Painter, slots: Tensor<2>, name: &str, sampling: &Sampling) -> Result<RgbImage, EvalError> {
    let mut drawings = painter.draw(slots.unsqueeze_dim(0), &[name], sampling)?;
    drawings.pop().ok_or_else(|| EvalError::Shape("the decoder returned no picture".into()))
}

fn masks(scene: &Scene) -> RgbImage {
    overlay(&scene.pixels, scene.masks.labels(), scene.pixels.width(), 0.55, Ground::Painted)
}

fn edit_name(edit: Edit) -> &'static str {
    match edit {
        Edit::Remove => "remove",
        Edit::RemoveZeroed => "remove-zeroed",
        Edit::Add => "add",
        Edit::Swap => "swap",
    }
}
