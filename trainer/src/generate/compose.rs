//! `trainer compose`: edits of slots, drawn from the same initial noise as the unedited picture, so that only the edit
//! can make a difference.

use burn::tensor::Tensor;
use glass_schemas::spec::evaluation::Edit;
use image::RgbImage;
use serde::Serialize;

use super::edits;
use super::job::Studio;
use super::objects::{object_slots, random_slot};
use super::queue::{Queue, Waiting};
use super::scene::Scene;
use super::shelf::{Shelf, get_picture};
use crate::decoders::Sampling;
use crate::eval::annotations::Picture;
use crate::eval::samples::png;
use crate::viz::{Ground, Sheet, overlay};

/// Pixels of a cell.
const CELL: u32 = 128;
/// Columns of the sheet: picture, slots, drawn from its slots, drawn after the edit.
const COLUMNS: u32 = 4;
/// Rows of the sheet: more cannot be looked at.
const ROWS: usize = 32;

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
/// edit. The objects are those of the largest masks; the edits of the GLASS release draw theirs with `seed`.
pub fn apply(edit: Edit, first: &Scene, second: &Scene, seed: u64) -> [Option<Edited>; 2] {
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
        (Edit::ReleaseAdd | Edit::ReleaseSwap, ..) => {
            let from = random_slot(&first.masks, seed, &first.name);
            let to = match edit {
                Edit::ReleaseAdd => random_slot(&second.masks, seed, &second.name),
                _ => 0,
            };
            let slots = edits::overwrite(second.slots.clone(), to, first.slots.clone().narrow(0, from, 1));
            [None, Some(Edited { slots, slot: Some(to), other_slot: Some(from) })]
        }
    }
}

/// What is done to pairs of pictures.
pub struct Edits<'a> {
    /// Every one is applied to the unedited slots.
    pub kinds: &'a [Edit],
    /// Steps after a removal.
    pub removal_steps: usize,
    /// Seed of what the edits draw.
    pub seed: u64,
}

/// Draws pairs, unedited and after every edit, leaving out what is there; then the sheet. Gives the index of what was
/// edited.
///
/// # Errors
/// Where a picture or a network cannot be used, or the shelf refuses.
pub fn draw_pairs(
    studio: &Studio<'_>,
    pairs: &[[&Picture; 2]],
    edits: &Edits<'_>,
    sampling: &Sampling,
    shelf: &mut dyn Shelf,
) -> anyhow::Result<Vec<Composition>> {
    let mut entries = Vec::new();
    let mut queue = Queue::new(shelf.names()?, studio.batch);
    for (number, pairs) in pairs.chunks(studio.batch.div_ceil(2)).enumerate() {
        let scenes = studio.reader().read(&pairs.iter().flatten().copied().collect::<Vec<_>>())?;
        for (at, pair) in scenes.chunks_exact(2).enumerate() {
            let place = 2 * (number * studio.batch.div_ceil(2) + at);
            for (composition, waiting) in drawings([&pair[0], &pair[1]], place, edits, sampling.steps) {
                queue.push(waiting, studio.painter.as_ref(), sampling, shelf)?;
                entries.extend(composition);
            }
        }
    }
    queue.finish(studio.painter.as_ref(), sampling, shelf)?;
    let mut sheet = Sheet::new(COLUMNS, CELL, 4);
    for entry in entries.iter().take(ROWS) {
        for picture in row(studio, pairs, entry, shelf)? {
            sheet.push(&picture);
        }
    }
    shelf.put("sheet.png", png(&sheet.draw())?)?;
    Ok(entries)
}

/// What is to be drawn of a pair: the two unedited pictures, then every edit of each.
fn drawings(pair: [&Scene; 2], place: usize, edits: &Edits<'_>, steps: usize) -> Vec<(Option<Composition>, Waiting)> {
    let before = |at: usize| format!("{:04}-before.png", place + at);
    let waiting = |at: usize, file: String, slots: &Tensor<2>, steps| Waiting {
        file,
        slots: slots.clone(),
        subject: pair[at].name.clone(),
        steps,
    };
    let mut all: Vec<_> = (0..2).map(|at| (None, waiting(at, before(at), &pair[at].slots, steps))).collect();
    for &edit in edits.kinds {
        let steps = match edit {
            Edit::Remove | Edit::RemoveZeroed => edits.removal_steps,
            _ => steps,
        };
        for (at, edited) in apply(edit, pair[0], pair[1], edits.seed).into_iter().enumerate() {
            let Some(edited) = edited.filter(|edited| edited.slots.dims()[0] > 0) else { continue };
            let after = format!("{:04}-{}.png", place + at, edit_name(edit));
            let composition = Composition {
                edit,
                image: pair[at].name.clone(),
                slot: edited.slot,
                other: edited.other_slot.map(|_| pair[1 - at].name.clone()),
                other_slot: edited.other_slot,
                slots: edited.slots.dims()[0],
                before: before(at),
                after: after.clone(),
            };
            all.push((Some(composition), waiting(at, after, &edited.slots, steps)));
        }
    }
    all
}

/// A row of the sheet.
fn row(
    studio: &Studio<'_>,
    pairs: &[[&Picture; 2]],
    entry: &Composition,
    shelf: &dyn Shelf,
) -> anyhow::Result<Vec<RgbImage>> {
    let picture = pairs.iter().flatten().find(|picture| picture.name == entry.image);
    let scenes = studio.reader().read(&picture.into_iter().copied().collect::<Vec<_>>())?;
    let mut row = Vec::with_capacity(COLUMNS as usize);
    for scene in scenes {
        row.extend([masks(&scene), scene.pixels].into_iter().rev());
    }
    row.push(get_picture(shelf, &entry.before)?);
    row.push(get_picture(shelf, &entry.after)?);
    Ok(row)
}

fn masks(scene: &Scene) -> RgbImage {
    overlay(&scene.pixels, scene.masks.labels(), scene.pixels.width(), 0.55, Ground::Painted)
}

/// Its name in files and tables.
pub fn edit_name(edit: Edit) -> &'static str {
    match edit {
        Edit::Remove => "remove",
        Edit::RemoveZeroed => "remove-zeroed",
        Edit::Add => "add",
        Edit::Swap => "swap",
        Edit::ReleaseAdd => "release-add",
        Edit::ReleaseSwap => "release-swap",
    }
}
