use image::{Rgb, RgbImage, imageops};

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// A contact sheet: square cells row by row, with a gap around each.
#[derive(Debug)]
pub struct Sheet {
    columns: u32,
    cell: u32,
    gap: u32,
    cells: Vec<RgbImage>,
}

impl Sheet {
    /// A sheet with `columns` cells of `cell` pixels in a row and `gap` pixels between them.
    pub fn new(columns: u32, cell: u32, gap: u32) -> Self {
        Self { columns: columns.max(1), cell: cell.max(1), gap, cells: Vec::new() }
    }

    /// Puts a picture into the next cell, scaled to it.
    pub fn push(&mut self, picture: &RgbImage) -> &mut Self {
        let cell = if picture.dimensions() == (self.cell, self.cell) {
            picture.clone()
        } else if picture.width() < self.cell {
            // Small pictures are label maps or token grids: their squares must stay squares.
            imageops::resize(picture, self.cell, self.cell, imageops::FilterType::Nearest)
        } else {
            imageops::resize(picture, self.cell, self.cell, imageops::FilterType::Triangle)
        };
        self.cells.push(cell);
        self
    }

    /// Draws the sheet. A sheet without cells is one blank cell.
    pub fn draw(&self) -> RgbImage {
        let rows = (self.cells.len() as u32).div_ceil(self.columns).max(1);
        let step = self.cell + self.gap;
        let mut paper = RgbImage::from_pixel(self.columns * step + self.gap, rows * step + self.gap, PAPER);
        for (index, cell) in self.cells.iter().enumerate() {
            let (column, row) = (index as u32 % self.columns, index as u32 / self.columns);
            imageops::replace(&mut paper, cell, i64::from(self.gap + column * step), i64::from(self.gap + row * step));
        }
        paper
    }
}
