//! The processor's kernels against burn's own operations, values and gradients.

use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor, activation};
use glass_nets::attention::Visibility;
use glass_nets::ops;

use crate::golden::{relative_error, vector};

const TOLERANCE: f64 = 2e-5;

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.5, 1.0), &device()).require_grad()
}

/// Compares two ways to compute the same of some inputs, and the inputs' gradients.
fn agree<const D: usize, const R: usize>(
    what: &str,
    inputs: &[Tensor<D>],
    ours: impl Fn(&[Tensor<D>]) -> Tensor<R>,
    burns: impl Fn(&[Tensor<D>]) -> Tensor<R>,
) {
    let (a, b) = (ours(inputs), burns(inputs));
    assert!(relative_error(&vector(a.clone()), &vector(b.clone())) < TOLERANCE, "{what}");
    let weight = Tensor::random(a.dims(), Distribution::Normal(0.0, 1.0), &device());
    let (a, b) = ((a * weight.clone()).sum().backward(), (b * weight).sum().backward());
    for (i, input) in inputs.iter().enumerate() {
        let (a, b) = (input.grad(&a).unwrap(), input.grad(&b).unwrap());
        let error = relative_error(&vector(a), &vector(b));
        assert!(error < TOLERANCE, "{what}, gradient of input {i}: {error:.1e}");
    }
}

fn parameters_agree(what: &str, layer: &Conv2d, x: &Tensor<4>) {
    let ours = ops::conv2d(layer, x.clone()).powi_scalar(2).sum().backward();
    let burns = layer.forward(x.clone()).powi_scalar(2).sum().backward();
    let weight = layer.weight.val();
    let (a, b) = (weight.grad(&ours).unwrap(), weight.grad(&burns).unwrap());
    assert!(relative_error(&vector(a), &vector(b)) < TOLERANCE, "{what}, weight");
    let bias = layer.bias.as_ref().unwrap().val();
    let (a, b) = (bias.grad(&ours).unwrap(), bias.grad(&burns).unwrap());
    assert!(relative_error(&vector(a), &vector(b)) < TOLERANCE, "{what}, bias");
}

#[test]
fn convolutions_agree_with_burn() {
    let explicit = PaddingConfig2d::Explicit;
    for (what, kernel, stride, padding, shape, output) in [
        ("same", 3, 1, explicit(1, 1, 1, 1), [3, 5, 9, 7], 6),
        ("halving", 3, 2, explicit(1, 1, 1, 1), [2, 4, 8, 9], 3),
        ("halving, odd padding", 3, 2, explicit(0, 0, 1, 1), [2, 4, 8, 8], 3),
        ("pointwise", 1, 1, PaddingConfig2d::Valid, [4, 6, 5, 3], 7),
        ("patches", 4, 4, PaddingConfig2d::Valid, [2, 3, 12, 8], 5),
        ("few positions", 3, 1, explicit(1, 1, 1, 1), [9, 16, 2, 2], 8),
        ("larger than a tile", 3, 1, explicit(1, 1, 1, 1), [1, 40, 48, 32], 4),
        ("larger kernel than picture", 5, 1, explicit(2, 2, 2, 2), [2, 2, 3, 3], 2),
    ] {
        let config = Conv2dConfig::new([shape[1], output], [kernel, kernel]);
        let layer = config.with_stride([stride, stride]).with_padding(padding).init(&device());
        let x = random(shape);
        agree(what, std::slice::from_ref(&x), |x| ops::conv2d(&layer, x[0].clone()), |x| layer.forward(x[0].clone()));
        parameters_agree(what, &layer, &x);
    }
}

fn norm(channels: usize) -> GroupNorm {
    let mut norm = GroupNormConfig::new(4, channels).init(&device());
    norm.gamma = norm.gamma.map(|p| p.map(|_| random([channels])));
    norm.beta = norm.beta.map(|p| p.map(|_| random([channels])));
    norm
}

#[test]
fn norms_agree_with_burn() {
    // A group of one or two values has next to no gradient to compare.
    for shape in [[3, 8, 5, 7], [1, 8, 2, 3], [2, 12, 16, 16]] {
        let norm = norm(shape[1]);
        let x = random(shape);
        let (plain, silu) = (&norm, &norm);
        agree(
            "norm",
            std::slice::from_ref(&x),
            |x| ops::group_norm(plain, x[0].clone()),
            |x| plain.forward(x[0].clone()),
        );
        agree(
            "norm and silu",
            std::slice::from_ref(&x),
            |x| ops::group_norm_silu(silu, x[0].clone()),
            |x| activation::silu(silu.forward(x[0].clone())),
        );
        let ours = ops::group_norm_silu(&norm, x.clone()).powi_scalar(2).sum().backward();
        let burns = activation::silu(norm.forward(x)).powi_scalar(2).sum().backward();
        for parameter in [norm.gamma, norm.beta] {
            let parameter = parameter.unwrap().val();
            let (a, b) = (parameter.grad(&ours).unwrap(), parameter.grad(&burns).unwrap());
            assert!(relative_error(&vector(a), &vector(b)) < TOLERANCE);
        }
    }
}

#[test]
fn gelus_agree_with_burn() {
    let x = random([3, 37, 22]);
    agree("gelu", std::slice::from_ref(&x), |x| ops::gelu(x[0].clone()), |x| activation::gelu(x[0].clone()));
    agree(
        "quick gelu",
        std::slice::from_ref(&x),
        |x| ops::quick_gelu(x[0].clone()),
        |x| x[0].clone() * activation::sigmoid(x[0].clone() * 1.702),
    );
    agree(
        "gated gelu",
        &[x],
        |x| ops::geglu(x[0].clone()),
        |x| x[0].clone().narrow(2, 0, 11) * activation::gelu(x[0].clone().narrow(2, 11, 11)),
    );
}

#[test]
fn attention_agrees_with_burn() {
    for (queries, keys) in [(5, 5), (130, 77), (1, 3), (200, 530)] {
        let heads = |tokens| random([2, 3, tokens, 8]);
        agree(
            "attention",
            &[heads(queries), heads(keys), heads(keys)],
            |x| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), Visibility::All),
            |x| {
                let scores = x[0].clone().matmul(x[1].clone().swap_dims(2, 3)) / 8f64.sqrt();
                activation::softmax(scores, 3).matmul(x[2].clone())
            },
        );
    }
    for tokens in [1, 7, 77, 300] {
        let heads = || random([2, 2, tokens, 8]);
        let later = Tensor::<2>::ones([tokens, tokens], &device()).triu(1) * -1e9;
        agree(
            "causal attention",
            &[heads(), heads(), heads()],
            |x| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), Visibility::Causal),
            |x| {
                let scores = x[0].clone().matmul(x[1].clone().swap_dims(2, 3)) / 8f64.sqrt();
                activation::softmax(scores + later.clone().unsqueeze(), 3).matmul(x[2].clone())
            },
        );
    }
    // As the networks call it: heads cut out of the channels without a copy.
    let tokens = [random([2, 6, 24]), random([2, 9, 24]), random([2, 9, 24])];
    let cut = |x: &Tensor<3>| x.clone().reshape([2, -1, 3, 8]).swap_dims(1, 2);
    agree(
        "attention on views",
        &tokens,
        |x| ops::attention(cut(&x[0]), cut(&x[1]), cut(&x[2]), Visibility::All),
        |x| {
            let scores = cut(&x[0]).matmul(cut(&x[1]).swap_dims(2, 3)) / 8f64.sqrt();
            activation::softmax(scores, 3).matmul(cut(&x[2]))
        },
    );
}

#[test]
fn convolutions_without_bias_agree_with_burn() {
    let config = Conv2dConfig::new([4, 6], [3, 3]).with_bias(false);
    let layer = config.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(&device());
    agree(
        "without bias",
        &[random([2, 4, 6, 5])],
        |x| ops::conv2d(&layer, x[0].clone()),
        |x| layer.forward(x[0].clone()),
    );
}

#[test]
fn transposed_convolutions_agree_with_burn() {
    for (what, kernel, stride, padding, more, shape, output) in [
        ("doubling", 5, 2, 2, 1, [3, 4, 5, 3], 6),
        ("same size", 3, 1, 1, 0, [2, 5, 4, 6], 2),
        ("pointwise", 1, 1, 0, 0, [2, 6, 3, 3], 4),
        ("tripling", 4, 3, 1, 1, [1, 2, 4, 4], 3),
    ] {
        let layer = ConvTranspose2dConfig::new([shape[1], output], [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding([padding, padding])
            .with_padding_out([more, more])
            .init(&device());
        let x = random(shape);
        agree(
            what,
            std::slice::from_ref(&x),
            |x| ops::conv_transpose2d(&layer, x[0].clone()),
            |x| layer.forward(x[0].clone()),
        );
        let ours = ops::conv_transpose2d(&layer, x.clone());
        let ours = ours.powi_scalar(2).sum().backward();
        let burns = layer.forward(x.clone()).powi_scalar(2).sum().backward();
        let weight = layer.weight.val();
        let (a, b) = (weight.grad(&ours).unwrap(), weight.grad(&burns).unwrap());
        let error = relative_error(&vector(a), &vector(b));
        assert!(error < TOLERANCE, "{what}, weight: {error:.1e}");
        let bias = layer.bias.as_ref().unwrap().val();
        let (a, b) = (bias.grad(&ours).unwrap(), bias.grad(&burns).unwrap());
        let error = relative_error(&vector(a), &vector(b));
        assert!(error < TOLERANCE, "{what}, bias: {error:.1e}");
    }
}
