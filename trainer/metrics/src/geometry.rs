//! Where pixels come from when a label map is brought to the evaluated square.

use serde::{Deserialize, Serialize};

use crate::Protocol;

/// Which source pixel a nearest-neighbour resize takes. The libraries differ by half a pixel, and
/// where a coordinate falls between two pixels by their rounding errors, which are kept: a
/// thousandth of the pixels of a label map hangs on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nearest {
    /// `floor(x · source / target)`, with OpenCV's double reciprocal (`INTER_NEAREST`).
    Corner,
    /// `floor((x + ½) · source / target)`, the coordinate summed up as Pillow does (`NEAREST`).
    Centre,
    /// The same in single precision, as torch does (`nearest-exact`).
    CentreSingle,
}

impl Nearest {
    /// Source coordinate of every target coordinate, for sides of `target` and `source` pixels.
    pub fn sources(self, target: usize, source: usize) -> Vec<usize> {
        let last = source.saturating_sub(1);
        let step = source as f64 / target as f64;
        match self {
            _ if target == source => (0..target).collect(),
            Self::Corner => {
                let step = 1.0 / (target as f64 / source as f64);
                (0..target).map(|x| ((x as f64 * step) as usize).min(last)).collect()
            }
            Self::Centre => {
                let mut at = step / 2.0;
                let mut next = || {
                    let place = (at as usize).min(last);
                    at += step;
                    place
                };
                (0..target).map(|_| next()).collect()
            }
            Self::CentreSingle => {
                let step = source as f32 / target as f32;
                (0..target).map(|x| (((x as f32 + 0.5) * step) as usize).min(last)).collect()
            }
        }
    }
}

/// How the long side is rounded and where the square is cut: evaluation codes differ by a pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlacementRule {
    /// Sides times `max(size / h, size / w)` rounded half to even, cut at half the surplus rounded
    /// down (GLASS release and SlotDiffusion).
    #[default]
    Rounded,
    /// Long side `size · long / short` rounded down, cut at half the surplus rounded half to even
    /// (torchvision's `Resize` and `CenterCrop`: SPOT and OCLF).
    Truncated,
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
    /// For a picture of `width` × `height` and a square of `size` pixels.
    pub fn of(width: usize, height: usize, size: usize, rule: PlacementRule) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let factor = (size as f64 / width as f64).max(size as f64 / height as f64);
        let side = |pixels: usize| match rule {
            PlacementRule::Rounded => (pixels as f64 * factor).round_ties_even() as usize,
            PlacementRule::Truncated => size * pixels / width.min(height),
        };
        let (width, height) = (side(width).max(size), side(height).max(size));
        let cut = |surplus: usize| match rule {
            PlacementRule::Rounded => surplus / 2,
            PlacementRule::Truncated => (surplus as f64 / 2.0).round_ties_even() as usize,
        };
        Self { width, height, left: cut(width - size), top: cut(height - size) }
    }
}

/// The pixels of a map that a resize and a crop keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampling {
    width: usize,
    height: usize,
    columns: Vec<usize>,
    rows: Vec<usize>,
}

impl Sampling {
    /// All pixels of a `width` × `height` map.
    pub fn whole(width: usize, height: usize) -> Self {
        Self { width, height, columns: (0..width).collect(), rows: (0..height).collect() }
    }

    /// The square of `size` pixels that a `width` × `height` picture is evaluated on.
    pub fn square(protocol: &Protocol, width: usize, height: usize, size: usize) -> Self {
        let place = Placement::of(width, height, size, protocol.placement);
        Self::placed(&place, protocol.nearest, (width, height), size)
    }

    /// The square of `size` pixels that `place` cuts out of a picture of `source` pixels. The
    /// square must lie within the resized picture.
    pub fn placed(place: &Placement, nearest: Nearest, (width, height): (usize, usize), size: usize) -> Self {
        let sources =
            |start: usize, target: usize, source: usize| nearest.sources(target, source)[start..start + size].to_vec();
        Self {
            width,
            height,
            columns: sources(place.left, place.width, width),
            rows: sources(place.top, place.height, height),
        }
    }

    /// Width and height of the maps it samples, pixels.
    pub fn source(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Width and height of what it keeps, pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.columns.len(), self.rows.len())
    }

    /// The kept pixels of a map of the [`Sampling::source`] size, row by row: their places in it.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows.iter().flat_map(move |row| self.columns.iter().map(move |column| row * self.width + column))
    }
}
