//! Which slots of a picture hold an object, told from the masks alone.

use glass_metrics::LabelMap;
use glass_schemas::seeds::{Purpose, Stream};

/// Slots that hold an object, the largest mask first. The slot with most of the picture's border is taken for the
/// ground and left out; slots that win no pixel are left out too.
pub fn object_slots(masks: &LabelMap) -> Vec<usize> {
    let slots = masks.labels().iter().copied().max().map_or(0, |label| usize::from(label) + 1);
    let (mut area, mut border) = (vec![0_usize; slots], vec![0_usize; slots]);
    let (width, height) = masks.size();
    for (index, &label) in masks.labels().iter().enumerate() {
        let (x, y) = (index % width, index / width);
        area[usize::from(label)] += 1;
        if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
            border[usize::from(label)] += 1;
        }
    }
    let ground = (0..slots).max_by_key(|&slot| (border[slot], area[slot]));
    let mut objects: Vec<usize> = (0..slots).filter(|&slot| area[slot] > 0 && Some(slot) != ground).collect();
    objects.sort_by_key(|&slot| (std::cmp::Reverse(area[slot]), slot));
    objects
}

/// A slot as the GLASS release draws one: any up to the highest that wins a pixel, but never that one, unless it is the
/// only; ground or object, used or not.
pub fn random_slot(masks: &LabelMap, seed: u64, picture: &str) -> usize {
    let highest = masks.labels().iter().copied().max().map_or(0, u64::from);
    Stream::new(seed, picture, Purpose::Composition).below(0, highest.max(1)) as usize
}
