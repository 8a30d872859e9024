//! A contact sheet: pictures beside their objects.

use std::collections::BTreeSet;

use glass_metrics::{IGNORE, PlacementRule, Protocol, Resampling, Sampling, TruthLabels, VoidPixels};
use image::RgbImage;

use crate::data::annotated::{AnnotatedImages, DataError, Picture, Result};
use crate::eval::picture::View;
use crate::viz::{Ground, Sheet, overlay};

/// Side of a cell in pixels.
const CELL: u32 = 192;
/// Pictures side by side.
const COLUMNS: u32 = 4;
/// How strongly objects cover the picture.
const OPACITY: f32 = 0.55;
/// Label that is drawn white.
const WHITE: u16 = 255;

/// Pictures spread evenly over a set, each beside its objects.
pub struct ContactSheet {
    count: usize,
    wanted: BTreeSet<i64>,
    cells: Vec<RgbImage>,
}

impl ContactSheet {
    /// Of so many pictures.
    pub fn new(count: usize) -> Self {
        Self { count, wanted: BTreeSet::new(), cells: Vec::new() }
    }

    /// Whether the picture is one of them: the first of every equal part of the set.
    pub(super) fn wants(&self, picture: &Picture) -> bool {
        self.wanted.contains(&picture.id)
    }

    /// Chooses among the pictures of a set.
    pub(super) fn choose(&mut self, images: &AnnotatedImages) {
        let pictures = images.pictures();
        let count = self.count.min(pictures.len());
        self.wanted = (0..count).map(|index| pictures[index * pictures.len() / count].id).collect();
    }

    /// Draws a picture and its objects.
    pub(super) fn push(&mut self, images: &AnnotatedImages, picture: &Picture, decoded: &RgbImage) -> Result<()> {
        let view = View { size: CELL, resampling: Resampling::Bilinear, placement: PlacementRule::Rounded };
        let square =
            view.square(decoded).map_err(|source| DataError::Picture { path: images.path(picture), source })?;
        self.cells.push(square.clone());
        if !images.annotations().are_given() {
            return Ok(());
        }
        let protocol = Protocol { labels: TruthLabels::Keep, void: VoidPixels::Ignore, ..Protocol::glass_release() };
        let sampling = Sampling::square(&protocol, picture.width, picture.height, CELL as usize);
        let Some(truth) = images.annotations().truth(picture, &protocol, &sampling)? else { return Ok(()) };
        let undecided = |label: &u16| if *label == IGNORE { WHITE } else { *label };
        let labels: Vec<u16> = truth.instances.labels().iter().map(undecided).collect();
        self.cells.push(overlay(&square, &labels, CELL, OPACITY, Ground::Clear));
        Ok(())
    }

    /// The sheet; `None` where nothing could be drawn.
    pub fn draw(&self) -> Option<RgbImage> {
        let mut sheet = Sheet::new(2 * COLUMNS, CELL, 4);
        self.cells.iter().for_each(|cell| {
            sheet.push(cell);
        });
        (!self.cells.is_empty()).then(|| sheet.draw())
    }
}
