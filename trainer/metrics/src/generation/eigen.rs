//! Eigenvalues of symmetric matrices.

/// Rounds of the QL iteration for one eigenvalue; three are usual.
const ROUNDS: usize = 60;

/// Eigenvalues of a symmetric `[size, size]` matrix, in no order: Householder's reduction to three
/// diagonals, then QL with implicit shifts (Wilkinson and Reinsch 1971).
pub fn eigenvalues(matrix: Vec<f64>, size: usize) -> Vec<f64> {
    let (mut diagonal, mut beside) = three_diagonals(matrix, size);
    for at in 0..size {
        for _ in 0..ROUNDS {
            let negligible = |k: usize| {
                let near = diagonal[k].abs() + diagonal[k + 1].abs();
                beside[k].abs() <= f64::EPSILON * near
            };
            let end = (at..size - 1).find(|&k| negligible(k)).unwrap_or(size - 1);
            if end == at {
                break;
            }
            rotate(&mut diagonal, &mut beside, at, end);
        }
    }
    diagonal
}

/// The diagonal, and what stands beside it: entry k between k and k + 1.
fn three_diagonals(mut a: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.0; size];
    for k in 0..size.saturating_sub(2) {
        // The reflection that leaves of column k below the diagonal only its first entry.
        let below = k + 1..size;
        let mut v: Vec<f64> = below.clone().map(|row| a[row * size + k]).collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm == 0.0 {
            continue;
        }
        beside[k] = if v[0] > 0.0 { -norm } else { norm };
        v[0] -= beside[k];
        let square: f64 = v.iter().map(|x| x * x).sum();
        // A ← A − v wᵀ − w vᵀ with w = p − (vᵀp / vᵀv) v, p = 2 A v / vᵀv.
        let mut p: Vec<f64> = below
            .clone()
            .map(|row| {
                let line = &a[row * size + k + 1..(row + 1) * size];
                2.0 * line.iter().zip(&v).map(|(x, y)| x * y).sum::<f64>() / square
            })
            .collect();
        let along = v.iter().zip(&p).map(|(x, y)| x * y).sum::<f64>() / square;
        p.iter_mut().zip(&v).for_each(|(p, v)| *p -= along * v);
        for (i, row) in below.enumerate() {
            let line = &mut a[row * size + k + 1..(row + 1) * size];
            for ((x, v_j), w_j) in line.iter_mut().zip(&v).zip(&p) {
                *x -= v[i] * w_j + p[i] * v_j;
            }
        }
    }
    if size > 1 {
        beside[size - 2] = a[size * size - 2];
    }
    (a.into_iter().step_by(size + 1).collect(), beside)
}

/// One QL step on the block from `start` to `end`.
fn rotate(diagonal: &mut [f64], beside: &mut [f64], start: usize, end: usize) {
    let half = (diagonal[start + 1] - diagonal[start]) / (2.0 * beside[start]);
    let sign = if half < 0.0 { -1.0 } else { 1.0 };
    let shift = diagonal[start] - beside[start] / (half + sign * half.hypot(1.0));
    let mut g = diagonal[end] - shift;
    let (mut sine, mut cosine, mut taken) = (1.0, 1.0, 0.0);
    for k in (start..end).rev() {
        let (f, b) = (sine * beside[k], cosine * beside[k]);
        let length = f.hypot(g);
        beside[k + 1] = length;
        if length == 0.0 {
            // The block falls apart here.
            diagonal[k + 1] -= taken;
            beside[end] = 0.0;
            return;
        }
        (sine, cosine) = (f / length, g / length);
        g = diagonal[k + 1] - taken;
        let next = (diagonal[k] - g) * sine + 2.0 * cosine * b;
        taken = sine * next;
        diagonal[k + 1] = g + taken;
        g = cosine * next - b;
    }
    diagonal[start] -= taken;
    beside[start] = g;
    beside[end] = 0.0;
}
