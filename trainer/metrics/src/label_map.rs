use crate::{MetricsError, Nearest, Sampling};

/// Label of pixels that belong to no object, in ground truth.
pub const BACKGROUND: u16 = 0;
/// Label of ground-truth pixels that are left out of every count.
pub const IGNORE: u16 = u16::MAX;
/// Label of ground-truth pixels under two annotations that count as background of a predicted
/// segment of their own (SlotDiffusion's rule, [`crate::Overlaps::OwnSegment`]).
pub const OVERLAP: u16 = u16::MAX - 1;

/// One label per pixel, row by row. In ground truth 0 is background; in a prediction labels are
/// slot numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap {
    width: usize,
    height: usize,
    labels: Vec<u16>,
}

impl LabelMap {
    /// Takes `width * height` labels, row by row.
    pub fn new(width: usize, height: usize, labels: Vec<u16>) -> Result<Self, MetricsError> {
        if labels.len() != width * height {
            return Err(MetricsError::Length {
                what: "label map",
                width,
                height,
                expected: width * height,
                found: labels.len(),
            });
        }
        Ok(Self { width, height, labels })
    }

    /// A map with the same label everywhere.
    pub fn filled(width: usize, height: usize, label: u16) -> Self {
        Self { width, height, labels: vec![label; width * height] }
    }

    /// The best slot of every pixel; `scores` is `[slots, height, width]`. The first of equal slots
    /// wins, and a score that is not a number never does.
    pub fn from_argmax(scores: &[f32], slots: usize, width: usize, height: usize) -> Result<Self, MetricsError> {
        let pixels = width * height;
        if scores.len() != slots * pixels {
            return Err(MetricsError::Length {
                what: "scores",
                width,
                height,
                expected: slots * pixels,
                found: scores.len(),
            });
        }
        let mut labels = vec![0_u16; pixels];
        let mut best = vec![f32::NEG_INFINITY; pixels];
        for slot in 0..slots {
            let plane = &scores[slot * pixels..(slot + 1) * pixels];
            for ((label, best), &score) in labels.iter_mut().zip(&mut best).zip(plane) {
                if score > *best {
                    *best = score;
                    *label = slot as u16;
                }
            }
        }
        Ok(Self { width, height, labels })
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

    /// All labels, row by row.
    pub fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// All labels, row by row, to be changed in place.
    pub fn labels_mut(&mut self) -> &mut [u16] {
        &mut self.labels
    }

    /// The labels that occur, ascending; reserved ones ([`IGNORE`], [`OVERLAP`]) included.
    pub fn distinct(&self) -> Vec<u16> {
        let mut seen = vec![false; usize::from(u16::MAX) + 1];
        for &label in &self.labels {
            seen[usize::from(label)] = true;
        }
        (0..=u16::MAX).filter(|&label| seen[usize::from(label)]).collect()
    }

    /// The same map with its labels renumbered 0, 1, 2 … in ascending order; reserved labels stay.
    ///
    /// This is what the GLASS release does before it scores. Where a picture has no background
    /// pixel, its first object becomes 0 and counts as background: kept as an option for the sake
    /// of comparable numbers.
    pub fn contiguous(&self) -> Self {
        let mut renumbered = vec![0_u16; usize::from(u16::MAX) + 1];
        for (new, label) in self.distinct().into_iter().enumerate() {
            renumbered[usize::from(label)] = if label >= OVERLAP { label } else { new as u16 };
        }
        let labels = self.labels.iter().map(|&label| renumbered[usize::from(label)]).collect();
        Self { labels, ..*self }
    }

    /// Nearest-neighbour resize.
    pub fn resize(&self, width: usize, height: usize, rule: Nearest) -> Self {
        let columns = rule.sources(width, self.width);
        let mut labels = Vec::with_capacity(width * height);
        for row in rule.sources(height, self.height) {
            labels.extend(columns.iter().map(|&x| self.labels[row * self.width + x]));
        }
        Self { width, height, labels }
    }

    /// The kept pixels of the map.
    pub fn sample(&self, sampling: &Sampling) -> Result<Self, MetricsError> {
        if self.size() != sampling.source() {
            return Err(MetricsError::Size { what: "label map", expected: sampling.source(), found: self.size() });
        }
        let (width, height) = sampling.size();
        let labels = sampling.places().map(|place| self.labels[place]).collect();
        Self::new(width, height, labels)
    }
}
