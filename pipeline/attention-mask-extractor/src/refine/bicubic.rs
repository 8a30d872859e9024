//! Bicubic interpolation as `torch.nn.functional.interpolate(mode="bicubic", align_corners=False)`.

/// Coefficient of the cubic kernel in torch (Pillow's is −0.5).
const A: f32 = -0.75;

/// A map's sides in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plane {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Plane {
    /// A square map.
    pub fn square(side: usize) -> Self {
        Self { width: side, height: side }
    }

    /// Values in a map.
    pub fn len(self) -> usize {
        self.width * self.height
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// The four source positions and weights of one target position along one side.
#[derive(Debug, Clone, Copy)]
struct Tap {
    at: [usize; 4],
    weight: [f32; 4],
}

/// A resize between two sizes, weights computed once: half-pixel centres, no antialiasing, borders
/// repeated, results not clamped, so that they may leave the range of the source.
#[derive(Debug, Clone)]
pub struct Bicubic {
    source: Plane,
    target: Plane,
    columns: Vec<Tap>,
    rows: Vec<Tap>,
}

impl Bicubic {
    /// Weights from `source` to `target`; both need at least one pixel.
    pub fn new(source: Plane, target: Plane) -> Self {
        Self { source, target, columns: taps(source.width, target.width), rows: taps(source.height, target.height) }
    }

    /// The size results have.
    pub fn target(&self) -> Plane {
        self.target
    }

    /// Resizes one map of the source size.
    pub fn resize(&self, map: &[f32]) -> Vec<f32> {
        if self.source == self.target {
            return map.to_vec();
        }
        let wide = self.widen(map);
        let mut result = vec![0.0; self.target.len()];
        for (y, row) in result.chunks_exact_mut(self.target.width).enumerate() {
            self.blend_row(&wide, y, row);
        }
        result
    }

    /// Interpolates along rows only: `[source height, target width]`.
    pub fn widen(&self, map: &[f32]) -> Vec<f32> {
        let mut wide = vec![0.0; self.source.height * self.target.width];
        let rows = map.chunks_exact(self.source.width).zip(wide.chunks_exact_mut(self.target.width));
        for (from, to) in rows {
            for (value, tap) in to.iter_mut().zip(&self.columns) {
                let [a, b, c, d] = tap.at.map(|at| from[at]);
                let [p, q, r, s] = tap.weight;
                *value = a * p + b * q + c * r + d * s;
            }
        }
        wide
    }

    /// Row `y` of the result from the widened map; `row` has the target width.
    pub fn blend_row(&self, wide: &[f32], y: usize, row: &mut [f32]) {
        let width = self.target.width;
        let tap = &self.rows[y];
        let [p, q, r, s] = tap.weight;
        let [a, b, c, d] = tap.at.map(|at| &wide[at * width..(at + 1) * width]);
        for ((((value, a), b), c), d) in row.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *value = a * p + b * q + c * r + d * s;
        }
    }
}

fn taps(source: usize, target: usize) -> Vec<Tap> {
    let scale = source as f32 / target as f32;
    let last = source.saturating_sub(1) as i64;
    (0..target)
        .map(|x| {
            let position = scale * (x as f32 + 0.5) - 0.5;
            let floor = position.floor();
            let at = [-1, 0, 1, 2].map(|offset| (floor as i64 + offset).clamp(0, last) as usize);
            Tap { at, weight: weights(position - floor) }
        })
        .collect()
}

/// Weights of the four neighbours of a position `t` past the second.
fn weights(t: f32) -> [f32; 4] {
    [outer(t + 1.0), inner(t), inner(1.0 - t), outer(2.0 - t)]
}

/// The kernel at distance up to 1.
fn inner(x: f32) -> f32 {
    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
}

/// The kernel at distance 1 to 2.
fn outer(x: f32) -> f32 {
    ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
}
