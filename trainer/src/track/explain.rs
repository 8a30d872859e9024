//! The samples of a step as a picture.

use image::RgbImage;

use super::preview::{Panel, slot_labels};
use crate::viz::{Ground, PictureRow, PictureTable, overlay};

/// Side of a cell, pixels.
const CELL: u32 = 200;
/// How strongly labels cover a picture.
const OPACITY: f32 = 0.6;

/// One sample, and what is written below its picture, its mask and its slots.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Written above.
    pub heading: String,
    /// The sample.
    pub panel: Panel,
    /// Lines below picture, mask and slots.
    pub captions: [Vec<String>; 3],
}

/// A row a sample: picture, pseudo-mask (where there is one), slots.
pub fn explained_step(title: &str, samples: &[Explained]) -> RgbImage {
    let mut table = PictureTable::new(CELL).titled(title);
    for sample in samples {
        let Explained { heading, panel, captions: [below_picture, below_mask, below_slots] } = sample;
        let mask = overlay(&panel.picture, &mask_labels(panel, CELL as usize), CELL, OPACITY, Ground::Clear);
        let slots = slot_labels(panel, CELL as usize);
        let slots = overlay(&panel.picture, &slots, CELL, OPACITY, Ground::Painted);
        table.push(PictureRow {
            heading: heading.clone(),
            cells: vec![
                (panel.picture.clone(), below_picture.clone()),
                (mask, below_mask.clone()),
                (slots, below_slots.clone()),
            ],
        });
    }
    table.draw()
}

/// The pseudo-mask at `side` pixels; all ground where there is none.
fn mask_labels(panel: &Panel, side: usize) -> Vec<u16> {
    let own = panel.mask.len().isqrt();
    let label = |at: usize| {
        let (x, y) = (at % side * own / side, at / side * own / side);
        panel.mask.get(y * own + x).map_or(0, |&label| u16::from(label))
    };
    (0..side * side).map(label).collect()
}
