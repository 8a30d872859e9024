//! Resizing on the host, with the sampling positions of PyTorch's `interpolate(align_corners=False)`.

/// The labels of a square mask at another size (`mode="nearest"`).
pub fn nearest(labels: &[u8], from: usize, to: usize) -> Vec<u8> {
    if from == to {
        return labels.to_vec();
    }
    let source = |i: usize| (i * from / to).min(from - 1);
    (0..to)
        .flat_map(|y| {
            let row = source(y) * from;
            (0..to).map(move |x| row + source(x))
        })
        .map(|index| labels[index])
        .collect()
}

/// Bilinear enlargement of square maps and its adjoint.
#[derive(Debug, Clone)]
pub struct Bilinear {
    from: usize,
    to: usize,
    /// For each target position: left source, right source, weight of the right one.
    taps: Vec<(usize, usize, f32)>,
}

impl Bilinear {
    /// From `from × from` to `to × to`.
    pub fn new(from: usize, to: usize) -> Self {
        let scale = from as f32 / to as f32;
        let taps = (0..to)
            .map(|i| {
                let position = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
                let left = (position as usize).min(from - 1);
                let right = (left + 1).min(from - 1);
                (left, right, position - left as f32)
            })
            .collect();
        Self { from, to, taps }
    }

    /// Side of the enlarged map.
    pub fn side(&self) -> usize {
        self.to
    }

    /// `map [from²]` → `[to²]`
    pub fn enlarge(&self, map: &[f32], out: &mut [f32]) {
        let mut row = vec![0.0f32; self.from];
        for (y, &(top, bottom, lower)) in self.taps.iter().enumerate() {
            let (top, bottom) = (&map[top * self.from..], &map[bottom * self.from..]);
            for x in 0..self.from {
                row[x] = top[x] + lower * (bottom[x] - top[x]);
            }
            for (out, &(left, right, weight)) in out[y * self.to..][..self.to].iter_mut().zip(&self.taps) {
                *out = row[left] + weight * (row[right] - row[left]);
            }
        }
    }

    /// The adjoint: adds to `map [from²]` what each source pixel contributed to `gradient [to²]`.
    pub fn gather(&self, gradient: &[f32], map: &mut [f32]) {
        let mut row = vec![0.0f32; self.from];
        for (y, &(top, bottom, lower)) in self.taps.iter().enumerate() {
            row.fill(0.0);
            for (&g, &(left, right, weight)) in gradient[y * self.to..][..self.to].iter().zip(&self.taps) {
                row[left] += (1.0 - weight) * g;
                row[right] += weight * g;
            }
            for x in 0..self.from {
                map[top * self.from + x] += (1.0 - lower) * row[x];
                map[bottom * self.from + x] += lower * row[x];
            }
        }
    }
}
