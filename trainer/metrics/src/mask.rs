use crate::{LabelMap, MetricsError};

/// The pixels of one object, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    width: usize,
    height: usize,
    bits: Vec<bool>,
}

/// The smallest box around a mask, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Which pixels touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Those that share a side.
    Four,
    /// Those that share a side or a corner.
    Eight,
}

impl Mask {
    /// Takes `width * height` bits, row by row.
    pub fn new(width: usize, height: usize, bits: Vec<bool>) -> Result<Self, MetricsError> {
        if bits.len() != width * height {
            return Err(MetricsError::Length {
                what: "mask",
                width,
                height,
                expected: width * height,
                found: bits.len(),
            });
        }
        Ok(Self { width, height, bits })
    }

    /// A mask without a pixel.
    pub fn empty(width: usize, height: usize) -> Self {
        Self { width, height, bits: vec![false; width * height] }
    }

    /// The pixels of `label`.
    pub fn of_label(map: &LabelMap, label: u16) -> Self {
        let bits = map.labels().iter().map(|&other| other == label).collect();
        Self { width: map.width(), height: map.height(), bits }
    }

    /// A box with corners `[x1, y1, x2, y2]` in pixels, corners rounded half to even, both ends
    /// clipped, the far one excluded: for data sets that have boxes only.
    pub fn of_box(width: usize, height: usize, corners: [f64; 4]) -> Self {
        let clip = |value: f64, side: usize| (value.round_ties_even().max(0.0) as usize).min(side);
        let (left, top) = (clip(corners[0], width), clip(corners[1], height));
        let (right, bottom) = (clip(corners[2], width).max(left), clip(corners[3], height));
        let mut mask = Self::empty(width, height);
        for y in top..bottom {
            mask.bits[y * width + left..y * width + right].fill(true);
        }
        mask
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// All bits, row by row.
    pub fn bits(&self) -> &[bool] {
        &self.bits
    }

    /// Pixels inside.
    pub fn area(&self) -> usize {
        self.bits.iter().filter(|&&bit| bit).count()
    }

    /// Adds the pixels of `other`.
    pub fn unite(&mut self, other: &Self) -> Result<(), MetricsError> {
        if self.size() != other.size() {
            return Err(MetricsError::Size { what: "mask", expected: self.size(), found: other.size() });
        }
        for (bit, &more) in self.bits.iter_mut().zip(&other.bits) {
            *bit |= more;
        }
        Ok(())
    }

    /// The smallest box around the mask; `None` for an empty one.
    pub fn bounds(&self) -> Option<Bounds> {
        let rows = self.bits.chunks(self.width.max(1));
        let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
        for (y, row) in rows.enumerate() {
            let Some(first) = row.iter().position(|&bit| bit) else { continue };
            let last = row.iter().rposition(|&bit| bit).unwrap_or(first);
            left = left.min(first);
            right = right.max(last);
            top = top.min(y);
            bottom = y;
        }
        (top != usize::MAX).then(|| Bounds { x: left, y: top, width: right - left + 1, height: bottom - top + 1 })
    }

    /// The connected parts of the mask: a map with labels 1, 2 … in the order of their first pixel,
    /// and their areas.
    pub fn components(&self, connectivity: Connectivity) -> Result<(LabelMap, Vec<usize>), MetricsError> {
        let mut labels = vec![0_u16; self.bits.len()];
        let mut areas = Vec::new();
        let mut pending = Vec::new();
        for start in 0..self.bits.len() {
            if !self.bits[start] || labels[start] != 0 {
                continue;
            }
            let label = areas.len() as u32 + 1;
            if label >= u32::from(crate::OVERLAP) {
                return Err(MetricsError::ReservedLabel { label, limit: crate::OVERLAP - 1 });
            }
            labels[start] = label as u16;
            pending.push(start);
            let mut area = 0;
            while let Some(at) = pending.pop() {
                area += 1;
                self.for_neighbours(at, connectivity, |next| {
                    if self.bits[next] && labels[next] == 0 {
                        labels[next] = label as u16;
                        pending.push(next);
                    }
                });
            }
            areas.push(area);
        }
        Ok((LabelMap::new(self.width, self.height, labels)?, areas))
    }

    fn for_neighbours(&self, at: usize, connectivity: Connectivity, mut visit: impl FnMut(usize)) {
        let (x, y) = (at % self.width, at / self.width);
        for v in y.saturating_sub(1)..=(y + 1).min(self.height - 1) {
            for u in x.saturating_sub(1)..=(x + 1).min(self.width - 1) {
                let aside = u == x || v == y;
                if (u, v) != (x, y) && (aside || connectivity == Connectivity::Eight) {
                    visit(v * self.width + u);
                }
            }
        }
    }
}
