//! Where pixels come from when a ground-truth map is brought to the evaluated square.

use serde::{Deserialize, Serialize};

/// Which source pixel a nearest-neighbour resize takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nearest {
    /// `floor(x · source / target)`, as OpenCV and torch do.
    Corner,
    /// `floor((x + ½) · source / target)`, as Pillow does.
    Centre,
}

impl Nearest {
    /// Source coordinate of target coordinate `x`, for sides of `target` and `source` pixels.
    pub fn source(self, x: usize, target: usize, source: usize) -> usize {
        let at = match self {
            Self::Corner => x * source / target,
            Self::Centre => (2 * x + 1) * source / (2 * target),
        };
        at.min(source.saturating_sub(1))
    }
}

/// A picture resized so that its shortest side fits, and the centre square of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Width after the resize, pixels.
    pub width: usize,
    /// Height after the resize, pixels.
    pub height: usize,
    /// Left edge of the square in the resized picture.
    pub left: usize,
    /// Top edge of the square in the resized picture.
    pub top: usize,
}

impl Placement {
    /// For a picture of `width` × `height` and a square of `size` pixels: factor `max(size / h,
    /// size / w)`, sides rounded half to even, crop at `(side − size) / 2` rounded down (GLASS
    /// evaluation data sets).
    pub fn of(width: usize, height: usize, size: usize) -> Self {
        let factor = (size as f64 / width.max(1) as f64).max(size as f64 / height.max(1) as f64);
        let side = |pixels: usize| ((pixels as f64 * factor).round_ties_even() as usize).max(size);
        let (width, height) = (side(width), side(height));
        Self { width, height, left: (width - size) / 2, top: (height - size) / 2 }
    }
}
