use image::{Rgb, RgbImage, imageops};

use super::text::{Caption, LINE};

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const GAP: u32 = 6;

/// A picture of pictures: a row a subject, a caption below every cell, a heading above every row.
#[derive(Debug)]
pub struct PictureTable {
    cell: u32,
    title: Option<String>,
    rows: Vec<PictureRow>,
}

/// One row of a [`PictureTable`].
#[derive(Debug)]
pub struct PictureRow {
    /// Written above it.
    pub heading: String,
    /// Pictures and what is written below them, one line each.
    pub cells: Vec<(RgbImage, Vec<String>)>,
}

impl PictureTable {
    /// Cells are squares of `cell` pixels.
    pub fn new(cell: u32) -> Self {
        Self { cell: cell.max(1), title: None, rows: Vec::new() }
    }

    /// With a line above everything.
    #[must_use]
    pub fn titled(self, title: &str) -> Self {
        Self { title: Some(title.to_owned()), ..self }
    }

    /// Adds a row.
    pub fn push(&mut self, row: PictureRow) {
        self.rows.push(row);
    }

    /// Draws it. A table without rows is one blank cell.
    pub fn draw(&self) -> RgbImage {
        let columns = self.rows.iter().map(|row| row.cells.len() as u32).max().unwrap_or(0).max(1);
        let width = columns * (self.cell + GAP) + GAP;
        let head = if self.title.is_some() { LINE + GAP } else { 0 };
        let height: u32 = self.rows.iter().map(|row| self.height(row)).sum();
        let mut paper = RgbImage::from_pixel(width, head + height.max(self.cell) + GAP, PAPER);
        if let Some(title) = &self.title {
            Caption::default().write(&mut paper, (GAP, GAP), width - 2 * GAP, title);
        }
        let mut top = head + GAP;
        for row in &self.rows {
            self.draw_row(&mut paper, top, row);
            top += self.height(row);
        }
        paper
    }

    fn height(&self, row: &PictureRow) -> u32 {
        let lines = row.cells.iter().map(|(_, lines)| lines.len() as u32).max().unwrap_or(0);
        LINE + self.cell + GAP / 2 + lines * LINE + GAP
    }

    fn draw_row(&self, paper: &mut RgbImage, top: u32, row: &PictureRow) {
        let caption = Caption::default();
        let width = paper.width();
        caption.write(paper, (GAP, top), width - 2 * GAP, &row.heading);
        for (column, (picture, lines)) in row.cells.iter().enumerate() {
            let left = GAP + column as u32 * (self.cell + GAP);
            let scaled = scale(picture, self.cell);
            imageops::replace(paper, &scaled, i64::from(left), i64::from(top + LINE));
            for (number, line) in lines.iter().enumerate() {
                let y = top + LINE + self.cell + GAP / 2 + number as u32 * LINE;
                caption.write(paper, (left, y), self.cell, line);
            }
        }
    }
}

/// Small pictures are label maps or token grids: their squares stay squares.
fn scale(picture: &RgbImage, side: u32) -> RgbImage {
    let filter = if picture.width() < side { imageops::FilterType::Nearest } else { imageops::FilterType::Triangle };
    if picture.dimensions() == (side, side) { picture.clone() } else { imageops::resize(picture, side, side, filter) }
}
