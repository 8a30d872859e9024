//! Operations of the networks, in one place so that a backend can have its own.
//!
//! burn's processor backend (flex) computes convolutions of few channels, normalisations and transcendental
//! functions one element at a time or through several copies. For it there are kernels here, forward and
//! backward; every other backend takes burn's own operations, which are fast there.

#[cfg(feature = "flex")]
mod attention;
#[cfg(feature = "flex")]
mod conv;
#[cfg(feature = "flex")]
mod extension;
#[cfg(feature = "flex")]
mod gelu;
#[cfg(feature = "flex")]
mod kernels;
#[cfg(feature = "flex")]
mod norm;
#[cfg(feature = "flex")]
mod product;
#[cfg(feature = "flex")]
mod simd;

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "flex")]
use burn::module::Param;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{GroupNorm, PaddingConfig2d};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{AttentionModuleOptions, InterpolateMode, InterpolateOptions};
use burn::tensor::{DType, Tensor, activation};

use crate::attention::Visibility;

static PORTABLE: AtomicBool = AtomicBool::new(false);

/// Makes this process compute with burn's own operations on every backend: to find out whether a kernel
/// here is at fault, or what it is worth.
pub fn without_kernels() {
    PORTABLE.store(true, Ordering::Relaxed);
}

/// Whether the kernels here can take this tensor.
#[cfg(feature = "flex")]
fn has_kernels<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().inner();
    matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_))
        && x.dtype() == DType::F32
        && !PORTABLE.load(Ordering::Relaxed)
}

/// A convolution `[batch, channels, height, width]`.
pub fn conv2d(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let (true, Some(geometry)) = (has_kernels(&x), geometry(layer, &x)) {
        let bias = bias(layer.bias.as_ref(), geometry.output, &x);
        return extension::run_conv(x, layer.weight.val(), bias, geometry);
    }
    layer.forward(x)
}

/// A transposed convolution `[batch, channels, height, width]`: what a convolution's gradient does to a
/// picture, the usual way to enlarge one.
pub fn conv_transpose2d(layer: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let (true, Some(geometry)) = (has_kernels(&x), transposed_geometry(layer, &x)) {
        let bias = bias(layer.bias.as_ref(), geometry.input, &x);
        return extension::run_conv_transposed(x, layer.weight.val(), bias, geometry);
    }
    layer.forward(x)
}

/// The layer's bias, or zeros that want no gradient.
#[cfg(feature = "flex")]
fn bias(bias: Option<&Param<Tensor<1>>>, channels: usize, like: &Tensor<4>) -> Tensor<1> {
    bias.map_or_else(|| Tensor::zeros([channels], &like.device()), |bias| bias.val())
}

/// The sizes of the convolution that a transposed one is the gradient of: its output is our input.
#[cfg(feature = "flex")]
fn transposed_geometry(layer: &ConvTranspose2d, x: &Tensor<4>) -> Option<conv::Geometry> {
    let [batch, output, height, width] = x.dims();
    let [_, input, rows, columns] = layer.weight.dims();
    if layer.groups != 1 || layer.dilation != [1, 1] {
        return None;
    }
    let size = |size: usize, axis: usize, kernel: usize| {
        let whole = size.checked_sub(1)? * layer.stride[axis] + kernel + layer.padding_out[axis];
        whole.checked_sub(2 * layer.padding[axis])
    };
    Some(conv::Geometry {
        batch,
        input,
        size: [size(height, 0, rows)?, size(width, 1, columns)?],
        output,
        kernel: [rows, columns],
        stride: layer.stride,
        pad: layer.padding,
        out: [height, width],
    })
}

/// The sizes of a convolution that the kernels can do.
#[cfg(feature = "flex")]
fn geometry(layer: &Conv2d, x: &Tensor<4>) -> Option<conv::Geometry> {
    let [batch, input, height, width] = x.dims();
    let [output, _, rows, columns] = layer.weight.dims();
    let (top, left, bottom, right) = match layer.padding {
        PaddingConfig2d::Valid => (0, 0, 0, 0),
        PaddingConfig2d::Explicit(top, left, bottom, right) => (top, left, bottom, right),
        PaddingConfig2d::Same => return None,
    };
    if layer.groups != 1 || layer.dilation != [1, 1] {
        return None;
    }
    let out =
        |size: usize, pad: usize, kernel: usize, stride: usize| Some((size + pad).checked_sub(kernel)? / stride + 1);
    Some(conv::Geometry {
        batch,
        input,
        size: [height, width],
        output,
        kernel: [rows, columns],
        stride: layer.stride,
        pad: [top, left],
        out: [out(height, top + bottom, rows, layer.stride[0])?, out(width, left + right, columns, layer.stride[1])?],
    })
}

/// Group normalisation `[batch, channels, height, width]`.
pub fn group_norm(layer: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let (true, Some(gamma), Some(beta)) = (has_kernels(&x), &layer.gamma, &layer.beta) {
        let groups = groups(layer, &x);
        return extension::run_norm(x, gamma.val(), beta.val(), groups, norm::Then::Nothing);
    }
    layer.forward(x)
}

/// SiLU of the group normalisation.
pub fn group_norm_silu(layer: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let (true, Some(gamma), Some(beta)) = (has_kernels(&x), &layer.gamma, &layer.beta) {
        let groups = groups(layer, &x);
        return extension::run_norm(x, gamma.val(), beta.val(), groups, norm::Then::Silu);
    }
    activation::silu(layer.forward(x))
}

#[cfg(feature = "flex")]
fn groups(layer: &GroupNorm, x: &Tensor<4>) -> norm::Groups {
    let [_, channels, height, width] = x.dims();
    norm::Groups { channels, groups: layer.num_groups, positions: height * width, eps: layer.epsilon }
}

/// x Φ(x), with the error function.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if has_kernels(&x) {
        return extension::run_gelu(x, gelu::Curve::Exact);
    }
    activation::gelu(x)
}

/// x σ(1.702 x), CLIP's approximation of GELU.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if has_kernels(&x) {
        return extension::run_gelu(x, gelu::Curve::Quick);
    }
    x.clone() * activation::sigmoid(x * 1.702)
}

/// Gated GELU: `[batch, tokens, 2 n]` to `[batch, tokens, n]`, the first half times the GELU of the second.
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if has_kernels(&x) {
        return extension::run_gated_gelu(x);
    }
    let half = x.dims()[2] / 2;
    x.clone().narrow(2, 0, half) * activation::gelu(x.narrow(2, half, half))
}

/// softmax(Q Kᵀ / √head_dim) V over `[batch, heads, tokens, head_dim]`; causal with as many keys as queries.
pub fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, seen: Visibility) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if has_kernels(&query) {
        return extension::run_attention(query, key, value, seen);
    }
    let options = AttentionModuleOptions { is_causal: seen == Visibility::Causal, ..Default::default() };
    burn::tensor::module::attention(query, key, value, None, None, options)
}

/// Nearest-neighbour resize to `[height, width]`.
pub fn upsample_nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size))
}
