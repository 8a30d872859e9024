//! Which slot an object belongs to.

use glass_metrics::{BACKGROUND, Bounds, LabelMap, Mask, MetricsError, Objective, assign};

/// An annotated object of a picture that was given a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matched {
    /// Its label in the map of instances.
    pub instance: u16,
    /// Its class, from 1.
    pub class: u16,
    /// The slot.
    pub slot: usize,
    /// Centre (x, y), width and height of its visible pixels, as shares of the picture.
    pub bounds: [f32; 4],
}

/// Objects with a slot each: the assignment of least cosine distance between the masks of objects and the pixels that
/// slots win, without the background (Latent Slot Diffusion). With more objects than slots the surplus has none.
///
/// `instances` and `classes` are the painted truth, `slots` the winning slot of every pixel; all of one size.
///
/// # Errors
/// Where sizes differ.
pub fn matched(
    instances: &LabelMap,
    classes: &LabelMap,
    slots: &LabelMap,
    count: usize,
) -> Result<Vec<Matched>, MetricsError> {
    for map in [classes, slots] {
        if map.size() != instances.size() {
            return Err(MetricsError::Size { what: "map", expected: instances.size(), found: map.size() });
        }
    }
    let objects: Vec<u16> = instances.distinct().into_iter().filter(|&label| label != BACKGROUND).collect();
    let distances = distances(instances, &objects, slots, count);
    let slots = assign(&distances, objects.len(), count, Objective::Minimise)?;
    let mut found = Vec::new();
    for (&instance, slot) in objects.iter().zip(slots) {
        let mask = Mask::of_label(instances, instance);
        let class =
            mask.bits().iter().zip(classes.labels()).find(|(inside, _)| **inside).map_or(0, |(_, &class)| class);
        if let (Some(slot), Some(bounds)) = (slot, mask.bounds()) {
            found.push(Matched { instance, class, slot, bounds: shares(bounds, instances.size()) });
        }
    }
    Ok(found)
}

/// Cosine distances between the masks of objects and of slots, `[objects, slots]`; 1 for a slot without a pixel.
fn distances(instances: &LabelMap, objects: &[u16], slots: &LabelMap, count: usize) -> Vec<f64> {
    let mut shared = vec![0_u64; objects.len() * count];
    let (mut of_objects, mut of_slots) = (vec![0_u64; objects.len()], vec![0_u64; count]);
    for (instance, &slot) in instances.labels().iter().zip(slots.labels()) {
        let slot = usize::from(slot);
        if slot < count {
            of_slots[slot] += 1;
        }
        if let Ok(object) = objects.binary_search(instance) {
            of_objects[object] += 1;
            if slot < count {
                shared[object * count + slot] += 1;
            }
        }
    }
    shared
        .iter()
        .enumerate()
        .map(|(at, &both)| {
            let lengths = (of_objects[at / count] as f64 * of_slots[at % count] as f64).sqrt();
            if lengths > 0.0 { 1.0 - both as f64 / lengths } else { 1.0 }
        })
        .collect()
}

fn shares(bounds: Bounds, (width, height): (usize, usize)) -> [f32; 4] {
    let share = |pixels: f64, of: usize| (pixels / of as f64) as f32;
    [
        share(bounds.x as f64 + bounds.width as f64 / 2.0, width),
        share(bounds.y as f64 + bounds.height as f64 / 2.0, height),
        share(bounds.width as f64, width),
        share(bounds.height as f64, height),
    ]
}
