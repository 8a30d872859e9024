//! The networks of methods that paint (`ci/reference/pixel_methods.py`).
//!
//! Weights are computed from the tensors' names on both sides, so that a wrong name is a wrong number.

use burn::tensor::{Tensor, TensorData};
use glass_nets::Weights;
use glass_nets::resnet34::{ResNet34, ResNet34Config};
use glass_nets::unet::capture::Plain;
use glass_nets::unet::{UNet2DConditionModel, UNetConfig, UNetEncoder, UNetEncoderConfig};
use glass_nets::vqvae::{VqVae, VqVaeConfig};

use crate::golden::{parity, vector};
use crate::support::{device, goldens, tensors};

/// Numbers in [−1, 1) from a name and an index: FNV-1a, then MurmurHash3's finaliser.
fn numbers(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0x811C_9DC5_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (0..count as u32)
        .map(|i| {
            let mut x = i.wrapping_mul(0x9E37_79B9).wrapping_add(seed);
            x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
            x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
            x ^= x >> 16;
            (f64::from(x) / 4_294_967_296.0 * 2.0 - 1.0) as f32
        })
        .collect()
}

fn input<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let numbers = numbers(name, shape.iter().product());
    Tensor::from_data(TensorData::new(numbers, shape), &device())
}

/// The weights of the reference.
fn weights() -> Weights {
    Weights::drawn(Box::new(|name, shape, _| {
        let scale = match shape {
            [_] if name.ends_with("weight") || name.ends_with("var") => None,
            [_] => Some(0.2),
            [_, inputs @ ..] => Some((3.0 / inputs.iter().product::<usize>() as f32).sqrt()),
            [] => None,
        };
        let numbers = numbers(name, shape.iter().product()).into_iter();
        match scale {
            Some(scale) => numbers.map(|u| u * scale).collect(),
            None => numbers.map(|u| 1.0 + 0.2 * u).collect(),
        }
    }))
}

fn expected(name: &str) -> Vec<f32> {
    let golden = tensors(goldens().join("pixels"), "networks");
    let shape = golden.shape(name).unwrap().to_vec();
    let count: usize = shape.iter().product();
    let bytes = golden.bytes(name).unwrap();
    let values: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(values.len(), count);
    values
}

#[test]
fn residual_networks_agree_with_torchvision() {
    for name in ["savi", "published"] {
        let config = ResNet34Config::read(goldens().join(format!("pixels/resnet-{name}"))).unwrap();
        let net = ResNet34::from_scope(&weights().root(&device()), &config).unwrap();
        let features = net.forward(input(&format!("in.resnet.{name}"), [2, 3, 24, 24]));
        let [_, width, side, _] = features.dims();
        assert_eq!(width, net.width());
        assert_eq!(side, 24_usize.div_ceil(net.downscale()));
        let expected = expected(&format!("resnet.{name}"));
        parity("ResNet34", name, &vector(features), &expected);
    }
}

#[test]
fn unet_encoder_agrees_with_diffusers() {
    let config = UNetEncoderConfig::read(goldens().join("pixels/unet-encoder")).unwrap();
    let net = UNetEncoder::from_scope(&weights().root(&device()), &config).unwrap();
    let features = net.forward(input("in.unet-encoder", [2, 3, 16, 16]));
    assert_eq!(features.dims()[1], net.width());
    parity("UNetEncoder", "three levels", &vector(features), &expected("unet-encoder"));
}

#[test]
fn positions_reach_every_attention_layer() {
    let config = UNetConfig::read(goldens().join("pixels/unet-position")).unwrap();
    let net = UNet2DConditionModel::from_scope(&weights().root(&device()), &config).unwrap();
    let context = input("in.context", [2, 5, 6]);
    let x = input("in.unet-position", [2, 4, 8, 8]);
    let predicted = net.forward(x, &[3.0, 700.0], context, &mut Plain);
    parity("UNet2DConditionModelWithPos", "cartesian", &vector(predicted), &expected("unet-position"));
}

#[test]
fn vector_quantised_autoencoder_agrees_with_diffusers() {
    let config = VqVaeConfig::read(goldens().join("pixels/vqvae")).unwrap();
    let drawn = VqVae::from_scope(&weights().root(&device()), &config).unwrap();
    let original = VqVae::load(goldens().join("pixels/vqvae-original"), &device()).unwrap();
    for (names, net) in [("diffusers", drawn), ("original", original)] {
        let latents = net.encode(input("in.vqvae", [2, 3, 16, 16]));
        parity("VQModel latents", names, &vector(latents.clone()), &expected("vqvae.latents"));
        let quantised = net.quantize(latents.clone());
        let codes: Vec<f32> = quantised.codes.iter().map(|&code| code as f32).collect();
        assert_eq!(codes, expected("vqvae.codes"), "{names}");
        parity("VQModel codes", names, &vector(quantised.latents), &expected("vqvae.quantised"));
        let picture = net.decode(latents);
        parity("VQModel picture", names, &vector(picture), &expected("vqvae.picture"));
    }
}

#[test]
fn a_network_starts_as_pytorch_starts_it() {
    use glass_nets::weights::Start;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    let starts = Arc::new(Mutex::new(BTreeMap::new()));
    let seen = Arc::clone(&starts);
    let weights = Weights::drawn(Box::new(move |name, shape, start| {
        seen.lock().unwrap().insert(name.to_owned(), start);
        vec![0.0; shape.iter().product()]
    }));
    let config = UNetEncoderConfig::read(goldens().join("pixels/unet-encoder")).unwrap();
    UNetEncoder::from_scope(&weights.root(&device()), &config).unwrap();
    let starts = starts.lock().unwrap();
    // 6 channels, 3 × 3 kernels.
    let bound = Start::Uniform(1.0 / 54.0_f32.sqrt());
    assert_eq!(starts["conv_in.weight"], bound);
    assert_eq!(starts["conv_in.bias"], bound);
    assert_eq!(starts["conv_norm_out.weight"], Start::Constant(1.0));
    assert_eq!(starts["conv_norm_out.bias"], Start::Constant(0.0));
    let last = ResNet34::start("layer1.0.bn2.weight", &[8], Start::Constant(1.0));
    assert_eq!(last, Start::Constant(0.0));
}
