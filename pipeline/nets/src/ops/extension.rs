//! The kernels as operations of burn: on plain flex tensors, and differentiable on autodiff ones.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

use super::conv::Geometry;
use super::gelu::Curve;
use super::kernels::{FlexTensor, Kernels};
use super::norm::{Groups, Then};
use crate::attention::Visibility;

/// The operations that burn dispatches to flex, with or without autodiff.
#[backend_extension(Flex, Autodiff)]
pub(super) trait GlassOps: Backend {
    fn glass_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;
    fn glass_conv_transposed(
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
    fn glass_gelu(x: FloatTensor<Self>, curve: Curve) -> FloatTensor<Self>;
    fn glass_gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    fn glass_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        seen: Visibility,
    ) -> FloatTensor<Self>;
}

impl GlassOps for Flex {
    fn glass_conv(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, geometry: Geometry) -> FlexTensor {
        Self::conv(&x, &weight, &bias, geometry)
    }

    fn glass_conv_transposed(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, geometry: Geometry) -> FlexTensor {
        Self::transposed(&x, &weight, &bias, geometry)
    }

    fn glass_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, groups: Groups, then: Then) -> FlexTensor {
        Self::norm(&x, &gamma, &beta, groups, then)
    }

    fn glass_gelu(x: FlexTensor, curve: Curve) -> FlexTensor {
        <Self as Kernels>::gelu(&x, curve)
    }

    fn glass_gated_gelu(x: FlexTensor) -> FlexTensor {
        Self::gated_gelu(&x)
    }

    fn glass_attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, seen: Visibility) -> FlexTensor {
        Self::attend(&q, &k, &v, seen)
    }
}

#[derive(Debug)]
struct Conv;
#[derive(Debug)]
struct ConvTransposed;
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

fn kept<B: Backend, const N: usize>(checkpointer: &mut Checkpointer, nodes: Kept<N>) -> [FloatTensor<B>; N] {
    nodes.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node))
}

/// Makes the result of an operation a node of the graph, which keeps the first `K` of the tensors that
/// were read, and a state, for the backward pass.
fn track<B, C, O, S, const N: usize, const K: usize>(
    operation: O,
    read: [&FloatTensor<Autodiff<B, C>>; N],
    state: S,
    out: FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>>
where
    B: Kernels,
    C: CheckpointStrategy,
    O: Backward<B, N, State = (Kept<K>, S)>,
    S: Clone + Send + std::fmt::Debug + 'static,
{
    const { assert!(K <= N) };
    let nodes = read.map(|tensor| tensor.node());
    match operation.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let kept = std::array::from_fn(|index| prep.checkpoint(read[index]));
            prep.finish((kept, state), out)
        }
        OpsKind::UnTracked(prep) => prep.finish(out),
    }
}

/// Hands gradients to those parents that want one.
fn register<B: Backend, const N: usize>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; N],
    gradients: [FloatTensor<B>; N],
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let Some(parent) = parent {
            grads.register::<B>(parent, gradient);
        }
    }
}

impl<B: Kernels> Backward<B, 3> for Conv {
    type State = (Kept<2>, Geometry);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
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

impl<B: Kernels> Backward<B, 3> for ConvTransposed {
    type State = (Kept<2>, Geometry);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (nodes, g) = ops.state;
        let [x, weight] = kept::<B, 2>(checkpointer, nodes);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = B::transposed_gradients(&x, &weight, &grad, g, wanted);
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Kernels> Backward<B, 3> for Norm {
    type State = (Kept<3>, (Groups, Then));

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (nodes, (groups, then)) = ops.state;
        let inputs = kept::<B, 3>(checkpointer, nodes);
        let gradients = B::norm_gradients(inputs.each_ref(), &grad, groups, then);
        let parents = ops.parents.map(|node| node.map(|node| node.id));
        register::<B, 3>(grads, parents, gradients);
    }
}

impl<B: Kernels> Backward<B, 1> for Gelu {
    type State = (Kept<1>, Curve);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (nodes, curve) = ops.state;
        let [x] = kept::<B, 1>(checkpointer, nodes);
        let parents = ops.parents.map(|node| node.map(|node| node.id));
        register::<B, 1>(grads, parents, [B::gelu_gradient(&x, &grad, curve)]);
    }
}

impl<B: Kernels> Backward<B, 1> for GatedGelu {
    type State = (Kept<1>, ());

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (nodes, ()) = ops.state;
        let [x] = kept::<B, 1>(checkpointer, nodes);
        let parents = ops.parents.map(|node| node.map(|node| node.id));
        register::<B, 1>(grads, parents, [B::gated_gelu_gradient(&x, &grad)]);
    }
}

impl<B: Kernels> Backward<B, 3> for Attend {
    type State = (Kept<3>, Visibility);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (nodes, seen) = ops.state;
        let inputs = kept::<B, 3>(checkpointer, nodes);
        let gradients = B::attend_gradients(inputs.each_ref(), &grad, seen);
        let parents = ops.parents.map(|node| node.map(|node| node.id));
        register::<B, 3>(grads, parents, gradients);
    }
}

impl<B: Kernels, C: CheckpointStrategy> GlassOps for Autodiff<B, C> {
    fn glass_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let out = B::conv(x.primitive(), weight.primitive(), bias.primitive(), geometry);
        track::<B, C, _, _, _, _>(Conv, [&x, &weight, &bias], geometry, out)
    }

    fn glass_conv_transposed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let out = B::transposed(x.primitive(), weight.primitive(), bias.primitive(), geometry);
        track::<B, C, _, _, _, _>(ConvTransposed, [&x, &weight, &bias], geometry, out)
    }

    fn glass_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        groups: Groups,
        then: Then,
    ) -> FloatTensor<Self> {
        let out = B::norm(x.primitive(), gamma.primitive(), beta.primitive(), groups, then);
        track::<B, C, _, _, _, _>(Norm, [&x, &gamma, &beta], (groups, then), out)
    }

    fn glass_gelu(x: FloatTensor<Self>, curve: Curve) -> FloatTensor<Self> {
        let out = <B as Kernels>::gelu(x.primitive(), curve);
        track::<B, C, _, _, _, _>(Gelu, [&x], curve, out)
    }

    fn glass_gated_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let out = B::gated_gelu(x.primitive());
        track::<B, C, _, _, _, _>(GatedGelu, [&x], (), out)
    }

    fn glass_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        seen: Visibility,
    ) -> FloatTensor<Self> {
        let out = B::attend(q.primitive(), k.primitive(), v.primitive(), seen);
        track::<B, C, _, _, _, _>(Attend, [&q, &k, &v], seen, out)
    }
}

pub(super) fn run_conv(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, geometry: Geometry) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_conv(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        geometry,
    ))
}

pub(super) fn run_conv_transposed(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, geometry: Geometry) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_conv_transposed(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        geometry,
    ))
}

pub(super) fn run_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: Groups, then: Then) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        groups,
        then,
    ))
}

pub(super) fn run_gelu<const D: usize>(x: Tensor<D>, curve: Curve) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_gelu(x.into_dispatch(), curve))
}

pub(super) fn run_gated_gelu(x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_gated_gelu(x.into_dispatch()))
}

pub(super) fn run_attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, seen: Visibility) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as GlassOps>::glass_attention(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
        seen,
    ))
}
