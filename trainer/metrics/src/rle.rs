use crate::{Mask, MetricsError};

/// COCO's run-length encoding: lengths of alternating runs outside and inside, column by column,
/// the first outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rle {
    width: usize,
    height: usize,
    counts: Vec<u32>,
}

impl Rle {
    /// Takes run lengths, which must add up to the mask.
    pub fn new(counts: Vec<u32>, width: usize, height: usize) -> Result<Self, MetricsError> {
        let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        if total != (width * height) as u64 {
            return Err(MetricsError::Rle { width, height, problem: format!("covers {total} pixels") });
        }
        Ok(Self { width, height, counts })
    }

    /// Reads the text form: five bits a character from `0`, the sixth saying that more follow, low
    /// bits first, signed; from the third run on the difference to the run before the previous one.
    pub fn from_compressed(text: &str, width: usize, height: usize) -> Result<Self, MetricsError> {
        let wrong = |problem: &str| MetricsError::Rle { width, height, problem: problem.to_owned() };
        let mut counts: Vec<u32> = Vec::new();
        let mut bytes = text.bytes();
        while let Some(first) = bytes.next() {
            let (mut value, mut shift, mut byte) = (0_i64, 0, first);
            loop {
                let bits = byte.checked_sub(48).filter(|bits| *bits < 64);
                let bits = i64::from(bits.ok_or_else(|| wrong("has a character outside its alphabet"))?);
                if shift > 40 {
                    return Err(wrong("has a run that is too long"));
                }
                value |= (bits & 31) << shift;
                shift += 5;
                if bits & 32 == 0 {
                    if bits & 16 != 0 {
                        value |= -1 << shift;
                    }
                    break;
                }
                byte = bytes.next().ok_or_else(|| wrong("ends inside a number"))?;
            }
            if counts.len() > 2 {
                value += i64::from(counts[counts.len() - 2]);
            }
            counts.push(u32::try_from(value).map_err(|_| wrong("has a negative run"))?);
        }
        Self::new(counts, width, height)
    }

    /// The text form.
    pub fn to_compressed(&self) -> String {
        let mut text = String::new();
        for (at, &count) in self.counts.iter().enumerate() {
            let mut value = i64::from(count);
            if at > 2 {
                value -= i64::from(self.counts[at - 2]);
            }
            loop {
                let bits = (value & 31) as u8;
                value >>= 5;
                let done = if bits & 16 != 0 { value == -1 } else { value == 0 };
                text.push(char::from(48 + bits + if done { 0 } else { 32 }));
                if done {
                    break;
                }
            }
        }
        text
    }

    /// Encodes a mask.
    pub fn encode(mask: &Mask) -> Self {
        let (width, height) = mask.size();
        let mut counts = vec![0_u32];
        let mut inside = false;
        for x in 0..width {
            for y in 0..height {
                if mask.bits()[y * width + x] != inside {
                    inside = !inside;
                    counts.push(0);
                }
                if let Some(last) = counts.last_mut() {
                    *last += 1;
                }
            }
        }
        Self { width, height, counts }
    }

    /// The mask.
    pub fn decode(&self) -> Mask {
        let mut bits = vec![false; self.width * self.height];
        let mut at = 0_usize;
        for (run, &count) in self.counts.iter().enumerate() {
            let end = at + count as usize;
            if run % 2 == 1 {
                // One division a column, not one a pixel.
                while at < end {
                    let (x, y) = (at / self.height, at % self.height);
                    let rows = (self.height - y).min(end - at);
                    for row in y..y + rows {
                        bits[row * self.width + x] = true;
                    }
                    at += rows;
                }
            }
            at = end;
        }
        Mask::new(self.width, self.height, bits).unwrap_or_else(|_| Mask::empty(self.width, self.height))
    }

    /// Run lengths, the first outside.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }
}
