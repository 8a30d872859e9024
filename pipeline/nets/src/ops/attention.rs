//! Scaled dot-product attention in blocks of queries, forward and backward.

use rayon::prelude::*;

use super::product::{Matrix, product};
use super::simd::{self, dispatch};

/// Queries that are scored at once, so that their scores stay in the cache.
const BLOCK: usize = 64;

/// `[batch, heads, tokens, head_dim]` with any strides but a last one of 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads<'a> {
    pub values: &'a [f32],
    pub shape: [usize; 4],
    /// Distances between samples, heads and tokens.
    pub strides: [usize; 3],
}

impl<'a> Heads<'a> {
    /// Tokens `from..` of one head of one sample.
    fn matrix(&self, batch: usize, head: usize, from: usize) -> Matrix<'a> {
        let at = batch * self.strides[0] + head * self.strides[1] + from * self.strides[2];
        Matrix {
            values: self.values.get(at..).unwrap_or_default(),
            strides: (self.strides[2], 1),
        }
    }
}

fn transposed(matrix: Matrix<'_>) -> Matrix<'_> {
    Matrix {
        values: matrix.values,
        strides: (matrix.strides.1, matrix.strides.0),
    }
}

/// Rows of scores to rows of softmax(scale · scores).
#[inline(always)]
fn softmax_kernel(rows: &mut [f32], width: usize, scale: f32) {
    for row in rows.chunks_mut(width) {
        let max = simd::max(row);
        for value in row.iter_mut() {
            *value = simd::exp((*value - max) * scale);
        }
        let inverse = 1.0 / simd::sum(row);
        for value in row.iter_mut() {
            *value *= inverse;
        }
    }
}
dispatch!(softmax, softmax_kernel, (rows: &mut [f32], width: usize, scale: f32));

/// Gradient of the scores, in place of the gradient of the probabilities: p · (g − Σ g p) · scale.
#[inline(always)]
fn softmax_gradient_kernel(probabilities: &[f32], grad: &mut [f32], width: usize, scale: f32) {
    for (p, g) in probabilities.chunks(width).zip(grad.chunks_mut(width)) {
        let mean = simd::dot(p, g);
        for (g, p) in g.iter_mut().zip(p) {
            *g = p * (*g - mean) * scale;
        }
    }
}
dispatch!(softmax_gradient, softmax_gradient_kernel,
    (probabilities: &[f32], grad: &mut [f32], width: usize, scale: f32));

/// softmax(Q Kᵀ / √head_dim) V as `[batch, tokens, heads, head_dim]`: the order that the next layer wants.
pub(super) fn forward(q: Heads<'_>, k: Heads<'_>, v: Heads<'_>) -> Vec<f32> {
    let [batch, heads, queries, dim] = q.shape;
    let (keys, width) = (k.shape[2], v.shape[3]);
    let scale = 1.0 / (dim as f32).sqrt();
    let mut out = vec![0.0_f32; batch * queries * heads * width];
    // One task per sample and block of queries: its output is one contiguous piece.
    let blocks = queries.div_ceil(BLOCK);
    let pieces: Vec<(usize, &mut [f32])> = out
        .chunks_mut(queries * heads * width)
        .flat_map(|sample| sample.chunks_mut(BLOCK * heads * width))
        .enumerate()
        .collect();
    pieces
        .into_par_iter()
        .for_each_init(Vec::new, |scores, (i, out)| {
            let (sample, from) = (i / blocks, i % blocks * BLOCK);
            let rows = out.len() / (heads * width);
            scores.resize(rows * keys, 0.0);
            for head in 0..heads {
                let key = transposed(k.matrix(sample, head, 0));
                product(
                    scores,
                    keys,
                    [rows, keys, dim],
                    q.matrix(sample, head, from),
                    key,
                    false,
                );
                softmax(scores, keys, scale);
                let p = Matrix {
                    values: scores,
                    strides: (keys, 1),
                };
                product(
                    &mut out[head * width..],
                    heads * width,
                    [rows, width, keys],
                    p,
                    v.matrix(sample, head, 0),
                    false,
                );
            }
        });
    out
}

/// Gradients of queries, keys and values, each `[batch, tokens, heads, head_dim]`.
pub(super) struct Gradients {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
}

/// `grad` is the gradient of the output.
pub(super) fn backward(q: Heads<'_>, k: Heads<'_>, v: Heads<'_>, grad: Heads<'_>) -> Gradients {
    let [batch, heads, queries, dim] = q.shape;
    let (keys, width) = (k.shape[2], v.shape[3]);
    let scale = 1.0 / (dim as f32).sqrt();
    let zeros = |tokens: usize, dim: usize| vec![0.0_f32; batch * tokens * heads * dim];
    let mut out = Gradients {
        query: zeros(queries, dim),
        key: zeros(keys, dim),
        value: zeros(keys, width),
    };
    let samples = out
        .query
        .par_chunks_mut(queries * heads * dim)
        .zip(out.key.par_chunks_mut(keys * heads * dim))
        .zip(out.value.par_chunks_mut(keys * heads * width));
    samples
        .enumerate()
        .for_each(|(sample, ((of_q, of_k), of_v))| {
            let (mut p, mut of_p) = (vec![0.0_f32; BLOCK * keys], vec![0.0_f32; BLOCK * keys]);
            for head in 0..heads {
                let (key, value) = (k.matrix(sample, head, 0), v.matrix(sample, head, 0));
                for from in (0..queries).step_by(BLOCK) {
                    let rows = BLOCK.min(queries - from);
                    let (p, of_p) = (&mut p[..rows * keys], &mut of_p[..rows * keys]);
                    let (query, grad) = (
                        q.matrix(sample, head, from),
                        grad.matrix(sample, head, from),
                    );
                    product(p, keys, [rows, keys, dim], query, transposed(key), false);
                    softmax(p, keys, scale);
                    product(
                        of_p,
                        keys,
                        [rows, keys, width],
                        grad,
                        transposed(value),
                        false,
                    );
                    let scores = |values| Matrix {
                        values,
                        strides: (keys, 1),
                    };
                    let by_key = |values| Matrix {
                        values,
                        strides: (1, keys),
                    };
                    product(
                        &mut of_v[head * width..],
                        heads * width,
                        [keys, width, rows],
                        by_key(&*p),
                        grad,
                        true,
                    );
                    softmax_gradient(p, of_p, keys, scale);
                    let at = (from * heads + head) * dim;
                    product(
                        &mut of_q[at..],
                        heads * dim,
                        [rows, dim, keys],
                        scores(&*of_p),
                        key,
                        false,
                    );
                    product(
                        &mut of_k[head * dim..],
                        heads * dim,
                        [keys, dim, rows],
                        by_key(&*of_p),
                        query,
                        true,
                    );
                }
            }
        });
    out
}
