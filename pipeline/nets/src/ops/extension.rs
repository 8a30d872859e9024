//! The kernels as operations of burn: on plain flex tensors, and differentiable on autodiff ones.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::attention::Heads;
use super::conv::Geometry;
use super::norm::{Groups, Then};
use super::{attention, conv, gelu, norm};

/// What the kernels offer, forward and backward, on contiguous `f32` tensors.
trait Kernels: Backend {
    fn conv(
        x: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        bias: &FloatTensor<Self>,
        g: Geometry,
    ) -> FloatTensor<Self>;
    fn conv_input_gradient(
        grad: &FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        g: Geometry,
    ) -> FloatTensor<Self>;
    fn conv_weight_gradient(
        x: &FloatTensor<Self>,
        grad: &FloatTensor<Self>,
        g: Geometry,
    ) -> FloatTensor<Self>;
    fn conv_bias_gradient(grad: &FloatTensor<Self>, g: Geometry) -> FloatTensor<Self>;
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
    fn gelu(x: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn gelu_gradient(x: &FloatTensor<Self>, grad: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn gated_gelu(x: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn gated_gelu_gradient(x: &FloatTensor<Self>, grad: &FloatTensor<Self>) -> FloatTensor<Self>;
    fn attend(
        q: &FloatTensor<Self>,
        k: &FloatTensor<Self>,
        v: &FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    fn attend_gradients(
        inputs: [&FloatTensor<Self>; 3],
        grad: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

type FlexTensor = FloatTensor<Flex>;

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
    let tensor = if forward && layout.strides().last() == Some(&1) {
        tensor
    } else {
        &*copy.insert(tensor.to_contiguous())
    };
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
        let values = with_slice(x, |x| {
            with_slice(weight, |weight| {
                with_slice(bias, |bias| conv::forward(x, weight, bias, &g))
            })
        });
        made(values, [g.batch, g.output, g.out[0], g.out[1]])
    }

    fn conv_input_gradient(grad: &FlexTensor, weight: &FlexTensor, g: Geometry) -> FlexTensor {
        let values = with_slice(grad, |grad| {
            with_slice(weight, |weight| conv::backward_input(grad, weight, &g))
        });
        made(values, [g.batch, g.input, g.size[0], g.size[1]])
    }

    fn conv_weight_gradient(x: &FlexTensor, grad: &FlexTensor, g: Geometry) -> FlexTensor {
        let values = with_slice(x, |x| {
            with_slice(grad, |grad| conv::backward_weight(x, grad, &g))
        });
        made(values, [g.output, g.input, g.kernel[0], g.kernel[1]])
    }

    fn conv_bias_gradient(grad: &FlexTensor, g: Geometry) -> FlexTensor {
        made(
            with_slice(grad, |grad| conv::backward_bias(grad, &g)),
            [g.output],
        )
    }

    fn norm(
        x: &FlexTensor,
        gamma: &FlexTensor,
        beta: &FlexTensor,
        g: Groups,
        then: Then,
    ) -> FlexTensor {
        let values = with_slice(x, |x| {
            with_slice(gamma, |gamma| {
                with_slice(beta, |beta| norm::forward(x, gamma, beta, &g, then))
            })
        });
        made(values, x.shape().to_vec())
    }

    fn norm_gradients(
        [x, gamma, beta]: [&FlexTensor; 3],
        grad: &FlexTensor,
        g: Groups,
        then: Then,
    ) -> [FlexTensor; 3] {
        let gradients = with_slice(x, |x| {
            with_slice(gamma, |gamma| {
                with_slice(beta, |beta| {
                    with_slice(grad, |grad| norm::backward(x, gamma, beta, grad, &g, then))
                })
            })
        });
        let shape = x.shape().to_vec();
        [
            made(gradients.x, shape),
            made(gradients.gamma, [g.channels]),
            made(gradients.beta, [g.channels]),
        ]
    }

    fn gelu(x: &FlexTensor) -> FlexTensor {
        made(with_slice(x, gelu::forward), x.shape().to_vec())
    }

    fn gelu_gradient(x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
        made(
            with_slice(x, |x| with_slice(grad, |grad| gelu::backward(x, grad))),
            x.shape().to_vec(),
        )
    }

    fn gated_gelu(x: &FlexTensor) -> FlexTensor {
        let [batch, tokens, width] = x.shape().dims::<3>();
        made(
            with_slice(x, |x| gelu::gated(x, width / 2)),
            [batch, tokens, width / 2],
        )
    }

    fn gated_gelu_gradient(x: &FlexTensor, grad: &FlexTensor) -> FlexTensor {
        let shape = x.shape().to_vec();
        let width = shape.last().map_or(0, |width| width / 2);
        made(
            with_slice(x, |x| {
                with_slice(grad, |grad| gelu::gated_backward(x, grad, width))
            }),
            shape,
        )
    }

    fn attend(q: &FlexTensor, k: &FlexTensor, v: &FlexTensor) -> FlexTensor {
        let mut copies = [None, None, None];
        let [a, b, c] = &mut copies;
        let (q, k, v) = (heads(q, a), heads(k, b), heads(v, c));
        let [batch, heads, queries, _] = q.shape;
        made(
            attention::forward(q, k, v),
            [batch, queries, heads, v.shape[3]],
        )
        .permute(&[0, 2, 1, 3])
    }

    fn attend_gradients([q, k, v]: [&FlexTensor; 3], grad: &FlexTensor) -> [FlexTensor; 3] {
        let mut copies = [None, None, None, None];
        let [a, b, c, d] = &mut copies;
        let (q, k, v, grad) = (heads(q, a), heads(k, b), heads(v, c), heads(grad, d));
        let gradients = attention::backward(q, k, v, grad);
        let turned = |values, [batch, heads, tokens, dim]: [usize; 4]| {
            made(values, [batch, tokens, heads, dim]).permute(&[0, 2, 1, 3])
        };
        [
            turned(gradients.query, q.shape),
            turned(gradients.key, k.shape),
            turned(gradients.value, v.shape),
        ]
    }
}

/// The operations that burn dispatches to flex, with or without autodiff.
#[backend_extension(Flex, Autodiff)]
pub(super) trait GlassOps: Backend {
    fn glass_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
    fn glass_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: Groups,
        then: Then,
    ) -> FloatTensor<Self>;
    fn glass_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn glass_gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn glass_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl GlassOps for Flex {
    fn glass_conv(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        geometry: Geometry,
    ) -> FlexTensor {
        Self::conv(&x, &weight, &bias, geometry)
    }

    fn glass_norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        groups: Groups,
        then: Then,
    ) -> FlexTensor {
        Self::norm(&x, &gamma, &beta, groups, then)
    }

    fn glass_gelu(x: FlexTensor) -> FlexTensor {
        <Self as Kernels>::gelu(&x)
    }

    fn glass_gated_gelu(x: FlexTensor) -> FlexTensor {
        Self::gated_gelu(&x)
    }

    fn glass_attention(q: FlexTensor, k: FlexTensor, v: FlexTensor) -> FlexTensor {
        Self::attend(&q, &k, &v)
    }
}

#[derive(Debug)]
struct Conv;
#[derive(Debug)]
struct Norm;
#[derive(Debug)]
struct Gelu;
#[derive(Debug)]
struct GatedGelu;
#[derive(Debug)]
struct Attend;

/// What an operation read, kept for its backward pass.
type Kept<const N: usize> = [NodeId; N];

fn kept<B: Backend, const N: usize>(
    checkpointer: &mut Checkpointer,
    nodes: Kept<N>,
) -> [FloatTensor<B>; N] {
    nodes.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node))
}

impl<B: Kernels> Backward<B, 3> for Conv {
    type State = (Kept<2>, Geometry);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let (nodes, g) = ops.state;
        let [x, weight] = kept::<B, 2>(checkpointer, nodes);
        let [of_x, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_x {
            grads.register::<B>(node.id, B::conv_input_gradient(&grad, &weight, g));
        }
        if let Some(node) = of_weight {
            grads.register::<B>(node.id, B::conv_weight_gradient(&x, &grad, g));
        }
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, B::conv_bias_gradient(&grad, g));
        }
    }
}

impl<B: Kernels> Backward<B, 3> for Norm {
    type State = (Kept<3>, Groups, Then);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let (nodes, groups, then) = ops.state;
        let inputs = kept::<B, 3>(checkpointer, nodes);
        let gradients = B::norm_gradients(inputs.each_ref(), &grad, groups, then);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Kernels> Backward<B, 1> for Gelu {
    type State = Kept<1>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [x] = kept::<B, 1>(checkpointer, ops.state);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::gelu_gradient(&x, &grad));
        }
    }
}

impl<B: Kernels> Backward<B, 1> for GatedGelu {
    type State = Kept<1>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let [x] = kept::<B, 1>(checkpointer, ops.state);
        if let [Some(node)] = ops.parents {
            grads.register::<B>(node.id, B::gated_gelu_gradient(&x, &grad));
        }
    }
}

impl<B: Kernels> Backward<B, 3> for Attend {
    type State = Kept<3>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let inputs = kept::<B, 3>(checkpointer, ops.state);
        let gradients = B::attend_gradients(inputs.each_ref(), &grad);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Kernels, C: CheckpointStrategy> GlassOps for Autodiff<B, C> {
    fn glass_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let out = B::conv(
            x.primitive(),
            weight.primitive(),
            bias.primitive(),
            geometry,
        );
        match Conv
            .prepare::<C>([x.node(), weight.node(), bias.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x), prep.checkpoint(&weight)];
                prep.finish((nodes, geometry), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn glass_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: Groups,
        then: Then,
    ) -> FloatTensor<Self> {
        let out = B::norm(
            x.primitive(),
            gamma.primitive(),
            beta.primitive(),
            groups,
            then,
        );
        match Norm
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let nodes = [
                    prep.checkpoint(&x),
                    prep.checkpoint(&gamma),
                    prep.checkpoint(&beta),
                ];
                prep.finish((nodes, groups, then), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn glass_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let out = <B as Kernels>::gelu(x.primitive());
        match Gelu.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x)];
                prep.finish(nodes, out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn glass_gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let out = B::gated_gelu(x.primitive());
        match GatedGelu
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let nodes = [prep.checkpoint(&x)];
                prep.finish(nodes, out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn glass_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let out = B::attend(q.primitive(), k.primitive(), v.primitive());
        match Attend
            .prepare::<C>([q.node(), k.node(), v.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let nodes = [
                    prep.checkpoint(&q),
                    prep.checkpoint(&k),
                    prep.checkpoint(&v),
                ];
                prep.finish(nodes, out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}

pub(super) fn run_conv(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    geometry: Geometry,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_conv(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        geometry,
    ))
}

pub(super) fn run_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: Groups,
    then: Then,
) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        groups,
        then,
    ))
}

pub(super) fn run_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_gelu(x.into_dispatch()))
}

pub(super) fn run_gated_gelu(x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_gated_gelu(x.into_dispatch()))
}

pub(super) fn run_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_attention(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
    ))
}
