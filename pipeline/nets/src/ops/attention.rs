//! Scaled dot-product attention in blocks of queries, forward and backward.

use rayon::prelude::*;

use super::product::{Matrix, product};
use super::simd::{self, dispatch};
use crate::attention::Visibility;

/// Keys that a block of queries is scored against at once, so that the scores stay in the cache.
const TILE: usize = 256;

/// Queries of a block at most: enough to pay for reading a tile of keys.
const BLOCK: usize = 192;

/// Queries of a block in the backward pass, which scores all keys at once.
const GRADIENT_BLOCK: usize = 64;

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
        Matrix { values: self.values.get(at..).unwrap_or_default(), strides: (self.strides[2], 1) }
    }
}

fn transposed(matrix: Matrix<'_>) -> Matrix<'_> {
    Matrix { values: matrix.values, strides: (matrix.strides.1, matrix.strides.0) }
}

/// Scores of queries `from..` lose the keys `first..` behind them.
fn hide_later(scores: &mut [f32], width: usize, from: usize, first: usize) {
    for (query, row) in (from..).zip(scores.chunks_mut(width)) {
        let seen = (query + 1).saturating_sub(first).min(width);
        row[seen..].fill(f32::NEG_INFINITY);
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

/// What a block of queries knows of the tiles of keys so far: its rows' largest scores and their sums of
/// exponentials relative to those.
#[derive(Debug, Default)]
struct Running {
    scores: Vec<f32>,
    max: Vec<f32>,
    sum: Vec<f32>,
}

/// One head's part of the rows of an output: `width` columns of rows that are `stride` apart.
pub(super) struct Columns<'a> {
    values: &'a mut [f32],
    stride: usize,
    width: usize,
}

impl Columns<'_> {
    fn rows(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let width = self.width;
        self.values.chunks_mut(self.stride).map(move |row| &mut row[..width])
    }
}

/// Rows of a tile's scores to exp(scale · (score − largest so far)); the sums and the output so far are
/// brought to the new largest score.
#[inline(always)]
fn tile_kernel(scores: &mut [f32], keys: usize, scale: f32, max: &mut [f32], sum: &mut [f32], out: &mut Columns<'_>) {
    let running = max.iter_mut().zip(sum).zip(out.rows());
    for (row, ((max, sum), out)) in scores.chunks_mut(keys).zip(running) {
        let before = *max;
        *max = simd::max(row).max(before);
        for value in row.iter_mut() {
            *value = simd::exp((*value - *max) * scale);
        }
        let shrink = simd::exp((before - *max) * scale);
        *sum = sum.mul_add(shrink, simd::sum(row));
        if shrink != 1.0 {
            for value in out {
                *value *= shrink;
            }
        }
    }
}
dispatch!(weigh_tile, tile_kernel,
    (scores: &mut [f32], keys: usize, scale: f32, max: &mut [f32], sum: &mut [f32], out: &mut Columns<'_>));

impl Running {
    /// Queries `from..` of a head, as many as `out` has rows, over all keys that they may see.
    fn head(&mut self, [q, k, v]: [Heads<'_>; 3], at: [usize; 3], seen: Visibility, mut out: Columns<'_>) {
        let [sample, head, from] = at;
        let rows = out.values.len().div_ceil(out.stride);
        let scale = 1.0 / (q.shape[3] as f32).sqrt();
        let keys = match seen {
            Visibility::All => k.shape[2],
            Visibility::Causal => k.shape[2].min(from + rows),
        };
        self.scores.resize(rows * TILE.min(keys), 0.0);
        self.max.clear();
        self.sum.clear();
        self.max.resize(rows, f32::NEG_INFINITY);
        self.sum.resize(rows, 0.0);
        for first in (0..keys).step_by(TILE) {
            let tile = TILE.min(keys - first);
            let scores = &mut self.scores[..rows * tile];
            let key = transposed(k.matrix(sample, head, first));
            product(scores, tile, [rows, tile, q.shape[3]], q.matrix(sample, head, from), key, false);
            if seen == Visibility::Causal {
                hide_later(scores, tile, from, first);
            }
            weigh_tile(scores, tile, scale, &mut self.max, &mut self.sum, &mut out);
            let weights = Matrix { values: scores, strides: (tile, 1) };
            let value = v.matrix(sample, head, first);
            product(out.values, out.stride, [rows, out.width, tile], weights, value, true);
        }
        for (row, sum) in out.rows().zip(&self.sum) {
            for value in row {
                *value /= sum;
            }
        }
    }
}

/// How many queries a block has: an even number of blocks, so that two threads end together.
fn block_size(queries: usize) -> usize {
    queries.div_ceil(queries.div_ceil(BLOCK).next_multiple_of(2)).max(1)
}

/// softmax(Q Kᵀ / √head_dim) V as `[batch, tokens, heads, head_dim]`: the order that the next layer wants.
///
/// Keys are taken in tiles and the softmax is corrected as they come (Dao et al., FlashAttention), so that
/// no more than a tile of scores exists per thread.
pub(super) fn forward(q: Heads<'_>, k: Heads<'_>, v: Heads<'_>, seen: Visibility) -> Vec<f32> {
    let [batch, heads, queries, _] = q.shape;
    let width = v.shape[3];
    let stride = heads * width;
    let mut out = vec![0.0_f32; batch * queries * stride];
    if out.is_empty() {
        return out;
    }
    let block = block_size(queries);
    let blocks = queries.div_ceil(block);
    // One task per sample and block of queries: its output is one contiguous piece.
    let pieces: Vec<(usize, &mut [f32])> =
        out.chunks_mut(queries * stride).flat_map(|sample| sample.chunks_mut(block * stride)).enumerate().collect();
    pieces.into_par_iter().for_each_init(Running::default, |running, (i, out)| {
        for head in 0..heads {
            let at = [i / blocks, head, i % blocks * block];
            let columns = Columns { values: &mut out[head * width..], stride, width };
            running.head([q, k, v], at, seen, columns);
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
pub(super) fn backward(q: Heads<'_>, k: Heads<'_>, v: Heads<'_>, grad: Heads<'_>, seen: Visibility) -> Gradients {
    let [batch, heads, queries, dim] = q.shape;
    let (keys, width) = (k.shape[2], v.shape[3]);
    let scale = 1.0 / (dim as f32).sqrt();
    let zeros = |tokens: usize, dim: usize| vec![0.0_f32; batch * tokens * heads * dim];
    let mut out = Gradients { query: zeros(queries, dim), key: zeros(keys, dim), value: zeros(keys, width) };
    let samples = out
        .query
        .par_chunks_mut(queries * heads * dim)
        .zip(out.key.par_chunks_mut(keys * heads * dim))
        .zip(out.value.par_chunks_mut(keys * heads * width));
    samples.enumerate().for_each(|(sample, ((of_q, of_k), of_v))| {
        let (mut p, mut of_p) = (vec![0.0_f32; GRADIENT_BLOCK * keys], vec![0.0_f32; GRADIENT_BLOCK * keys]);
        for head in 0..heads {
            let (key, value) = (k.matrix(sample, head, 0), v.matrix(sample, head, 0));
            for from in (0..queries).step_by(GRADIENT_BLOCK) {
                let rows = GRADIENT_BLOCK.min(queries - from);
                let (p, of_p) = (&mut p[..rows * keys], &mut of_p[..rows * keys]);
                let (query, grad) = (q.matrix(sample, head, from), grad.matrix(sample, head, from));
                product(p, keys, [rows, keys, dim], query, transposed(key), false);
                if seen == Visibility::Causal {
                    hide_later(p, keys, from, 0);
                }
                softmax(p, keys, scale);
                product(of_p, keys, [rows, keys, width], grad, transposed(value), false);
                let scores = |values| Matrix { values, strides: (keys, 1) };
                let by_key = |values| Matrix { values, strides: (1, keys) };
                product(&mut of_v[head * width..], heads * width, [keys, width, rows], by_key(&*p), grad, true);
                softmax_gradient(p, of_p, keys, scale);
                let at = (from * heads + head) * dim;
                product(&mut of_q[at..], heads * dim, [rows, dim, keys], scores(&*of_p), key, false);
                product(&mut of_k[head * dim..], heads * dim, [keys, dim, rows], by_key(&*of_p), query, true);
            }
        }
    });
    out
}
