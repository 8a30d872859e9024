//! What slots see, as a picture.

use image::RgbImage;

use crate::guidance::Bilinear;
use crate::phases::owners;
use crate::viz::{Ground, Sheet, overlay};

/// One sample of a preview.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The picture.
    pub picture: RgbImage,
    /// Its pseudo-mask, square.
    pub mask: Vec<u8>,
    /// Slot attention, `[slots, tokens]`.
    pub attention: Vec<f32>,
    /// Number of slots.
    pub slots: usize,
}

/// A row a sample: picture, pseudo-mask, slot masks.
pub fn preview(panels: &[Panel]) -> RgbImage {
    const COLUMNS: u32 = 3;
    const CELL: u32 = 160;
    let mut sheet = Sheet::new(COLUMNS, CELL, 4);
    for panel in panels {
        let side = panel.mask.len().isqrt();
        let labels: Vec<u16> = panel.mask.iter().map(|&label| u16::from(label)).collect();
        sheet.push(&panel.picture);
        sheet.push(&overlay(&panel.picture, &labels, side as u32, 0.6, Ground::Clear));
        let slots = slot_labels(panel, CELL as usize);
        sheet.push(&overlay(&panel.picture, &slots, CELL, 0.6, Ground::Painted));
    }
    sheet.draw()
}

/// The slot that holds each pixel of the enlarged attention.
pub(super) fn slot_labels(panel: &Panel, side: usize) -> Vec<u16> {
    let tokens = panel.attention.len() / panel.slots;
    let enlarge = Bilinear::new(tokens.isqrt(), side);
    let mut large = vec![0.0; panel.slots * side * side];
    for (map, large) in panel.attention.chunks(tokens).zip(large.chunks_mut(side * side)) {
        enlarge.enlarge(map, large);
    }
    owners(&large, side * side).into_iter().map(u16::from).collect()
}
