//! `trainer generate`: validation pictures drawn again from their slots.

use burn::tensor::Tensor;
use image::RgbImage;
use serde::Serialize;

use super::painter::{Painter, Sampling};
use super::scene::Scene;
use crate::eval::EvalError;
use crate::eval::samples::png;
use crate::viz::Sheet;

/// Pictures in a row of the grid; each takes two cells.
const PAIRS_IN_A_ROW: u32 = 4;
/// Pairs in the grid: more cannot be looked at.
const PAIRS: usize = 32;
/// Pixels of a cell.
const CELL: u32 = 128;

/// Draws scenes again and collects the grid `input | reconstruction`.
#[derive(Default)]
pub struct Reconstructions {
    pairs: Vec<(RgbImage, RgbImage)>,
    entries: Vec<Entry>,
}

/// One picture in `generated.json`.
#[derive(Debug, Serialize)]
struct Entry {
    image: String,
    file: String,
}

impl Reconstructions {
    /// Draws a batch of scenes; the files are `NNNNN.png`, numbered on.
    ///
    /// # Errors
    /// Where the networks or the encoder of pictures refuse.
    pub fn draw(
        &mut self,
        painter: &Painter,
        scenes: &[Scene],
        sampling: &Sampling,
    ) -> Result<Vec<(String, Vec<u8>)>, EvalError> {
        let slots = Tensor::stack(scenes.iter().map(|scene| scene.slots.clone()).collect(), 0);
        let names: Vec<&str> = scenes.iter().map(|scene| scene.name.as_str()).collect();
        let drawings = painter.draw(slots, &names, sampling)?;
        let mut files = Vec::with_capacity(drawings.len());
        for (scene, drawing) in scenes.iter().zip(drawings) {
            let file = format!("{:05}.png", self.entries.len());
            files.push((file.clone(), png(&drawing)?));
            self.entries.push(Entry { image: scene.name.clone(), file });
            if self.pairs.len() < PAIRS {
                self.pairs.push((scene.pixels.clone(), drawing));
            }
        }
        Ok(files)
    }

    /// The grid and the index of all files; the index is the sign that everything is there.
    ///
    /// # Errors
    /// Where the grid cannot be encoded.
    pub fn finish(self, head: impl Serialize) -> Result<Vec<(String, Vec<u8>)>, EvalError> {
        #[derive(Serialize)]
        struct Index<H> {
            #[serde(flatten)]
            head: H,
            grid: &'static str,
            pictures: Vec<Entry>,
        }
        let mut sheet = Sheet::new(2 * PAIRS_IN_A_ROW, CELL, 4);
        for (input, drawing) in &self.pairs {
            sheet.push(input).push(drawing);
        }
        let index = Index { head, grid: "grid.png", pictures: self.entries };
        let index = serde_json::to_vec_pretty(&index).map_err(|error| EvalError::Drawing(error.into()))?;
        Ok(vec![("grid.png".into(), png(&sheet.draw())?), ("generated.json".into(), index)])
    }
}
