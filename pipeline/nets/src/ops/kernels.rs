//! The kernels on flex tensors.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata};
use burn::tensor::TensorData;

use super::attention::Heads;
use super::conv::Geometry;
use super::gelu::Curve;
use super::norm::{Groups, Then};
use super::{attention, conv, gelu, norm};
use crate::attention::Visibility;

/// What the kernels offer, forward and backward, on contiguous `f32` tensors.
pub(super) trait Kernels: Backend {
    fn conv(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        bias: &FloatTensor<Self>,
        g: Geometry,
    ) -> FloatTensor<Self>;
    fn conv_input_gradient(grad: &FloatTensor<Self>, weight: &FloatTensor<Self>, g: Geometry) -> FloatTensor<Self>;
    fn conv_weight_gradient(x: &FloatTensor<Self>, grad: &FloatTensor<Self>, g: Geometry) -> FloatTensor<Self>;
    fn conv_bias_gradient(grad: &FloatTensor<Self>, g: Geometry) -> FloatTensor<Self>;
    fn transposed(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        bias: &FloatTensor<Self>,
        g: Geometry,
    ) -> FloatTensor<Self>;
    /// Of input, weight and bias.
    fn transposed_gradients(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        grad: &FloatTensor<Self>,
        g: Geometry,
        wanted: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3];
    fn norm(
        x: &FloatTensor<Self>,
        gamma: &FloatTensor<Self>,
        beta: &FloatTensor<Self>,
        g: Groups,
        then: Then,
    ) -> FloatTensor<Self>;
    fn norm_gradients(
        inputs: [&FloatTensor<Self>; 3],
        grad: &FloatTensor<Self>,
        g: Groups,
        then: Then,
    ) -> [FloatTensor<Self>; 3];
    fn gelu(x: &FloatTensor<Self>, curve: Curve) -> FloatTensor<Self>;
    fn gelu_gradient(x: &FloatTensor<Self>, grad: &FloatTensor<Self>, curve: Curve) -> FloatTensor<Self>;
    fn gated_gelu(x: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn gated_gelu_gradient(x: &FloatTensor<Self>, grad: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn attend(
        q: &FloatTensor<Self>,
        k: &FloatTensor<Self>,
        v: &FloatTensor<Self>,
        seen: Visibility,
    ) -> FloatTensor<Self>;
    fn attend_gradients(
        inputs: [&FloatTensor<Self>; 3],
        grad: &FloatTensor<Self>,
        seen: Visibility,
    ) -> [FloatTensor<Self>; 3];
}

pub(super) type FlexTensor = FloatTensor<Flex>;

/// The elements of a contiguous view, copied first if the tensor is not one.
fn with_slice<R>(tensor: &FlexTensor, then: impl FnOnce(&[f32]) -> R) -> R {
    match tensor.as_slice::<f32>() {
        Some(values) => then(values),
        None => then(tensor.to_contiguous().as_slice::<f32>().unwrap_or_default()),
    }
}

fn made(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// `[batch, heads, tokens, head_dim]` as it lies, or a contiguous copy of it in `copy`.
fn heads<'a>(tensor: &'a FlexTensor, copy: &'a mut Option<FlexTensor>) -> Heads<'a> {
    let layout = tensor.layout();
    let forward = layout.strides().iter().all(|stride| *stride >= 0);
    let tensor =
        if forward && layout.strides().last() == Some(&1) { tensor } else { &*copy.insert(tensor.to_contiguous()) };
    let layout = tensor.layout();
    let at = |i: usize| usize::try_from(layout.strides()[i]).unwrap_or(0);
    Heads {
        values: &tensor.storage::<f32>()[layout.start_offset()..],
        shape: layout.shape().dims::<4>(),
        strides: [at(0), at(1), at(2)],
    }
}

impl Kernels for Flex {
    fn conv(x: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor, g: Geometry) -> FlexTensor {
        let values =
            with_slice(x, |x| with_slice(weight, |weight| with_slice(bias, |bias| conv::forward(x, weight, bias, &g))));
        made(values, [g.batch, g.output, g.out[0], g.out[1]])
    }

    fn conv_input_gradient(grad: &FlexTensor, weight: &FlexTensor, g: Geometry) -> FlexTensor {
        let values = with_slice(grad, |grad| with_slice(weight, |weight| conv::backward_input(grad, weight, &g)));
        made(values, [g.batch, g.input, g.size[0], g.size[1]])
    }

    fn conv_weight_gradient(x: &FlexTensor, grad: &FlexTensor, g: Geometry) -> FlexTensor {
        let values = with_slice(x, |x| with_slice(grad, |grad| conv::backward_weight(x, grad, &g)));
        made(values, [g.output, g.input, g.kernel[0], g.kernel[1]])
    }

    fn conv_bias_gradient(grad: &FlexTensor, g: Geometry) -> FlexTensor {
        made(with_slice(grad, |grad| conv::backward_bias(grad, &g)), [g.output])
    }

    fn transposed(x: &FlexTensor, weight: &FlexTensor, bias: &FlexTensor, g: Geometry) -> FlexTensor {
        let values = with_slice(x, |x| {
            with_slice(weight, |weight| with_slice(bias, |bias| conv::transposed_forward(x, weight, bias, &g)))
        });
        made(values, [g.batch, g.input, g.size[0], g.size[1]])
    }

    fn transposed_gradients(
        x: &FlexTensor,
        weight: &FlexTensor,
        grad: &FlexTensor,
        g: Geometry,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let of_x = |grad: &[f32]| {
            let values = with_slice(weight, |weight| conv::transposed_backward_input(grad, weight, &g));
            made(values, [g.batch, g.output, g.out[0], g.out[1]])
        };
        // The convolution's weight gradient with input and gradient exchanged.
        let of_weight = |grad: &[f32]| {
            let values = with_slice(x, |x| conv::backward_weight(grad, x, &g));
            made(values, [g.output, g.input, g.kernel[0], g.kernel[1]])
        };
        let of_bias = |grad: &[f32]| made(conv::transposed_backward_bias(grad, &g), [g.input]);
        with_slice(grad, |grad| {
            [wanted[0].then(|| of_x(grad)), wanted[1].then(|| of_weight(grad)), wanted[2].then(|| of_bias(grad))]
        })
    }

    fn norm(x: &FlexTensor, gamma: &FlexTensor, beta: &FlexTensor, g: Groups, then: Then) -> FlexTensor {
        let values = with_slice(x, |x| {
            with_slice(gamma, |gamma| with_slice(beta, |beta| norm::forward(x, gamma, beta, &g, then)))
        });
        made(values, x.shape().to_vec())
    }

    fn norm_gradients([x, gamma, beta]: [&FlexTensor; 3], grad: &FlexTensor, g: Groups, then: Then) -> [FlexTensor; 3] {
        let gradients = with_slice(x, |x| {
            with_slice(gamma, |gamma| {
                with_slice(beta, |beta| with_slice(grad, |grad| norm::backward(x, gamma, beta, grad, &g, then)))
            })
        });
        let shape = x.shape().to_vec();
        [made(gradients.x, shape), made(gradients.gamma, [g.channels]), made(gradients.beta, [g.channels])]
    }

    fn gelu(x: &FlexTensor, curve: Curve) -> FlexTensor {
        made(with_slice(x, |x| gelu::forward(x, curve)), x.shape().to_vec())
    }

    fn gelu_gradient(x: &FlexTensor, grad: &FlexTensor, curve: Curve) -> FlexTensor {
        made(with_slice(x, |x| with_slice(grad, |grad| gelu::backward(x, grad, curve))), x.shape().to_vec())
    }

    fn gated_gelu(x: &FlexTensor) -> FlexTensor {
        let [batch, tokens, width] = x.shape().dims::<3>();
        made(with_slice(x, |x| gelu::gated(x, width / 2)), [batch, tokens, width / 2])
    }

    fn gated_gelu_gradient(x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
        let shape = x.shape().to_vec();
        let width = shape.last().map_or(0, |width| width / 2);
        made(with_slice(x, |x| with_slice(grad, |grad| gelu::gated_backward(x, grad, width))), shape)
    }

    fn attend(q: &FlexTensor, k: &FlexTensor, v: &FlexTensor, seen: Visibility) -> FlexTensor {
        let mut copies = [None, None, None];
        let [a, b, c] = &mut copies;
        let (q, k, v) = (heads(q, a), heads(k, b), heads(v, c));
        let [batch, heads, queries, _] = q.shape;
        made(attention::forward(q, k, v, seen), [batch, queries, heads, v.shape[3]]).permute(&[0, 2, 1, 3])
    }

    fn attend_gradients([q, k, v]: [&FlexTensor; 3], grad: &FlexTensor, seen: Visibility) -> [FlexTensor; 3] {
        let mut copies = [None, None, None, None];
        let [a, b, c, d] = &mut copies;
        let (q, k, v, grad) = (heads(q, a), heads(k, b), heads(v, c), heads(grad, d));
        let gradients = attention::backward(q, k, v, grad, seen);
        let turned = |values, [batch, heads, tokens, dim]: [usize; 4]| {
            made(values, [batch, tokens, heads, dim]).permute(&[0, 2, 1, 3])
        };
        [turned(gradients.query, q.shape), turned(gradients.key, k.shape), turned(gradients.value, v.shape)]
    }
}
