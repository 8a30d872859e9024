//! GELU, with the error function or CLIP's quick one, and as a gate; forward and backward.

use rayon::prelude::*;

use super::simd::{self, dispatch};

/// Elements that one task takes.
const CHUNK: usize = 1 << 14;

/// Which GELU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    /// x Φ(x).
    Exact,
    /// x σ(1.702 x).
    Quick,
}

/// σ(1.702 x), and its derivative.
#[inline(always)]
fn logistic(x: f32) -> (f32, f32) {
    const SLOPE: f32 = 1.702;
    let below = simd::sigmoid(SLOPE * x);
    (below, SLOPE * below * (1.0 - below))
}

/// Φ(x), and its derivative φ(x).
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const ROOT: f32 = 0.398_942_3; // 1 / √(2π)
    let (erf, bell) = simd::erf(x * std::f32::consts::FRAC_1_SQRT_2);
    (0.5 * (1.0 + erf), ROOT * bell)
}

/// x · `below(x)`, where `below` also gives its derivative.
#[inline(always)]
fn each(x: &[f32], to: &mut [f32], below: impl Fn(f32) -> (f32, f32)) {
    for (to, x) in to.iter_mut().zip(x) {
        *to = x * below(*x).0;
    }
}

#[inline(always)]
fn gelu_kernel(x: &[f32], to: &mut [f32], curve: Curve) {
    match curve {
        Curve::Exact => each(x, to, normal),
        Curve::Quick => each(x, to, logistic),
    }
}
dispatch!(gelu_all, gelu_kernel, (x: &[f32], to: &mut [f32], curve: Curve));

/// `grad` times the derivative of x · `below(x)`.
#[inline(always)]
fn each_gradient(x: &[f32], grad: &[f32], to: &mut [f32], below: impl Fn(f32) -> (f32, f32)) {
    for ((to, x), grad) in to.iter_mut().zip(x).zip(grad) {
        let (below, density) = below(*x);
        *to = grad * x.mul_add(density, below);
    }
}

#[inline(always)]
fn gelu_gradient_kernel(x: &[f32], grad: &[f32], to: &mut [f32], curve: Curve) {
    match curve {
        Curve::Exact => each_gradient(x, grad, to, normal),
        Curve::Quick => each_gradient(x, grad, to, logistic),
    }
}
dispatch!(gelu_gradient, gelu_gradient_kernel, (x: &[f32], grad: &[f32], to: &mut [f32], curve: Curve));

#[inline(always)]
fn gate_kernel(value: &[f32], gate: &[f32], to: &mut [f32]) {
    for ((to, value), gate) in to.iter_mut().zip(value).zip(gate) {
        *to = value * gate * normal(*gate).0;
    }
}
dispatch!(gate_all, gate_kernel, (value: &[f32], gate: &[f32], to: &mut [f32]));

#[inline(always)]
fn gate_gradient_kernel(value: &[f32], gate: &[f32], grad: &[f32], of_value: &mut [f32], of_gate: &mut [f32]) {
    let inputs = value.iter().zip(gate).zip(grad);
    for (((value, gate), grad), (of_value, of_gate)) in inputs.zip(of_value.iter_mut().zip(of_gate)) {
        let (below, density) = normal(*gate);
        *of_value = grad * gate * below;
        *of_gate = grad * value * gate.mul_add(density, below);
    }
}
dispatch!(gate_gradient, gate_gradient_kernel,
    (value: &[f32], gate: &[f32], grad: &[f32], of_value: &mut [f32], of_gate: &mut [f32]));

pub(super) fn forward(x: &[f32], curve: Curve) -> Vec<f32> {
    let mut out = vec![0.0_f32; x.len()];
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(to, x)| gelu_all(x, to, curve));
    out
}

pub(super) fn backward(x: &[f32], grad: &[f32], curve: Curve) -> Vec<f32> {
    let mut out = vec![0.0_f32; x.len()];
    let inputs = x.par_chunks(CHUNK).zip(grad.par_chunks(CHUNK));
    out.par_chunks_mut(CHUNK).zip(inputs).for_each(|(to, (x, grad))| gelu_gradient(x, grad, to, curve));
    out
}

/// Rows of `[value, gate]`, each `width` wide, to rows of value · GELU(gate).
pub(super) fn gated(x: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0_f32; x.len() / 2];
    let rows = (CHUNK / width).max(1);
    out.par_chunks_mut(rows * width).zip(x.par_chunks(2 * rows * width)).for_each(|(to, x)| {
        for (to, x) in to.chunks_mut(width).zip(x.chunks(2 * width)) {
            let (value, gate) = x.split_at(width);
            gate_all(value, gate, to);
        }
    });
    out
}

/// The gradient of the rows `[value, gate]`.
pub(super) fn gated_backward(x: &[f32], grad: &[f32], width: usize) -> Vec<f32> {
    let mut out = vec![0.0_f32; x.len()];
    let rows = (CHUNK / width).max(1);
    let inputs = x.par_chunks(2 * rows * width).zip(grad.par_chunks(rows * width));
    out.par_chunks_mut(2 * rows * width).zip(inputs).for_each(|(to, (x, grad))| {
        for ((to, x), grad) in to.chunks_mut(2 * width).zip(x.chunks(2 * width)).zip(grad.chunks(width)) {
            let ((value, gate), (of_value, of_gate)) = (x.split_at(width), to.split_at_mut(width));
            gate_gradient(value, gate, grad, of_value, of_gate);
        }
    });
    out
}
