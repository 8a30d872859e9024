//! The networks of the generation metrics against pytorch-fid, torch-fidelity, lpips and transformers
//! (`ci/reference/generation_nets.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData, s};
use glass_nets::clip::ClipVisionModel;
use glass_nets::image::RgbImage;
use glass_nets::inception::{InceptionInput, InceptionV3};
use glass_nets::perceptual::{Perceptual, TrunkKind};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use tempfile::TempDir;

use crate::support::{check, device, goldens, relative_error, tensors};

type Layout = Vec<(String, Vec<usize>)>;

fn folder() -> PathBuf {
    goldens().join("generation")
}

fn layout(network: &str) -> Layout {
    let text = std::fs::read_to_string(folder().join("layouts.json")).unwrap();
    let layouts: BTreeMap<String, Layout> = serde_json::from_str(&text).unwrap();
    layouts[network].clone()
}

/// Numbers in [0, 1) from splitmix64 of the index, as the script makes them.
fn uniform(first: u64, count: usize) -> impl Iterator<Item = f64> {
    (first + 1..first + 1 + count as u64).map(|index| {
        let z = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / 2f64.powi(53)
    })
}

fn weights(layout: &Layout) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let mut first = 0;
    let mut tensors = Vec::new();
    for (name, shape) in layout {
        let count: usize = shape.iter().product();
        let fan_in: usize = shape[1..].iter().product();
        let value = |u: f64| match name {
            name if name.starts_with("lin") => u,
            name if name.ends_with("running_var") || name.ends_with("bn.weight") => 0.75 + 0.5 * u,
            _ if shape.len() == 1 => 0.2 * (u - 0.5),
            _ => (u - 0.5) * (24.0 / fan_in as f64).sqrt(),
        };
        let bytes = uniform(first, count).flat_map(|u| (value(u) as f32).to_le_bytes());
        tensors.push((name.clone(), shape.clone(), bytes.collect()));
        first += count as u64;
    }
    tensors
}

fn save(path: &Path, tensors: &[(String, Vec<usize>, Vec<u8>)]) {
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize_to_file(views, None, path).unwrap();
}

fn pictures(shape: [usize; 4]) -> Tensor<4> {
    let values: Vec<f32> = uniform(1 << 40, shape.iter().product()).map(|u| u as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn inception(at: &TempDir) -> InceptionV3 {
    let path = at.path().join("inception.safetensors");
    save(&path, &weights(&layout("inception")));
    InceptionV3::load(path, &device()).unwrap()
}

#[test]
fn features_agree_with_pytorch_fid_and_torch_fidelity() {
    let at = TempDir::new().unwrap();
    let network = inception(&at);
    let golden = tensors(folder(), "inception");
    assert_eq!(network.features(), 128);
    let bytes = (pictures([2, 3, 40, 53]) * 256.0).floor();
    for (name, input, pixels) in [
        // pytorch-fid takes any number between 0 and 1.
        ("fid", InceptionInput::PytorchFid, pictures([2, 3, 40, 53]) * 255.0),
        ("fidelity", InceptionInput::TorchFidelity, bytes.clone()),
    ] {
        let features = network.forward(input.prepare_bytes(pixels));
        check("inception", name, relative_error(&golden, name, features));
    }
    let seen = InceptionInput::TorchFidelity.prepare_bytes(bytes);
    let seen = seen.slice([s![..], s![..], s![..;23], s![..;23]]);
    check("inception", "fidelity input", relative_error(&golden, "fidelity_input", seen));
}

#[test]
fn pictures_of_different_sizes_fit_one_batch_of_inception() {
    let pictures = [RgbImage::from_fn(20, 31, image), RgbImage::from_fn(64, 9, image)];
    for input in [InceptionInput::PytorchFid, InceptionInput::TorchFidelity] {
        let both = input.prepare(&pictures, &device()).unwrap();
        assert_eq!(both.dims(), [2, 3, 299, 299]);
        let alone = input.prepare(&pictures[1..], &device()).unwrap();
        let difference: f32 = (both.clone().narrow(0, 1, 1) - alone).abs().max().into_scalar();
        assert_eq!(difference, 0.0);
        let largest: f32 = both.abs().max().into_scalar();
        assert!(largest <= 1.0);
    }
    assert!(InceptionInput::PytorchFid.prepare(&[], &device()).is_err());
}

fn image(x: u32, y: u32) -> image::Rgb<u8> {
    image::Rgb([(x * 7 + y * 3) as u8, (x * y) as u8, 255 - (x + y) as u8])
}

#[test]
fn weights_of_another_layout_are_refused_by_name() {
    let at = TempDir::new().unwrap();
    let path = at.path().join("cut.safetensors");
    let load = |tensors: &[(String, Vec<usize>, Vec<u8>)]| {
        save(&path, tensors);
        InceptionV3::load(&path, &device()).unwrap_err().to_string()
    };
    let mut whole = weights(&layout("inception"));
    let place = |name: &str, all: &[(String, Vec<usize>, Vec<u8>)]| all.iter().position(|t| t.0 == name).unwrap();
    let missing = place("Mixed_7c.branch3x3dbl_3a.bn.running_var", &whole);
    let taken = whole.remove(missing);
    let error = load(&whole);
    assert!(error.contains("Mixed_7c.branch3x3dbl_3a.bn.running_var") && error.contains("cut.safetensors"), "{error}");
    whole.insert(missing, taken);
    let odd = place("Mixed_6b.branch7x7_2.conv.weight", &whole);
    whole[odd].1.swap(2, 3);
    let error = load(&whole);
    assert!(error.contains("Mixed_6b.branch7x7_2.conv.weight") && error.contains("expected"), "{error}");
    whole[odd].1.swap(2, 3);
    whole.push(("Mixed_8a.conv.weight".to_owned(), vec![1], vec![0; 4]));
    assert!(load(&whole).contains("Mixed_8a.conv.weight"));
}

#[test]
fn layers_agree_with_lpips() {
    for (net, kind) in [("alex", TrunkKind::AlexNet), ("vgg", TrunkKind::Vgg16)] {
        let at = TempDir::new().unwrap();
        let path = at.path().join("whole.safetensors");
        let all = weights(&layout(net));
        save(&path, &all);
        let network = Perceptual::load(&path, None, &device()).unwrap();
        assert_eq!((network.kind(), network.heads().len()), (kind, 5));
        let golden = tensors(folder(), net);
        let scaled = pictures([4, 3, 67, 79]) * 2.0 - 1.0;
        let layers = network.forward(scaled.clone().narrow(0, 0, 2)).unwrap();
        for layer in 3..=5 {
            let name = format!("relu{layer}");
            let quarter = layers[layer - 1].clone().slice([s![..], s![..;4], s![..], s![..]]);
            check("lpips", &format!("{net} {name}"), relative_error(&golden, &name, quarter));
        }

        // The same weights as torchvision and the package `lpips` have them, in two files.
        let heads = at.path().join("heads.safetensors");
        let (of_heads, of_trunk): (Vec<_>, Vec<_>) = all.into_iter().partition(|tensor| tensor.0.starts_with("lin"));
        let renamed = of_trunk.into_iter().map(|(name, shape, bytes)| {
            let index = name.split('.').skip(2).collect::<Vec<_>>().join(".");
            (format!("features.{index}"), shape, bytes)
        });
        save(&heads, &of_heads);
        save(&path, &renamed.collect::<Vec<_>>());
        let apart = Perceptual::load(&path, Some(&heads), &device()).unwrap();
        assert_eq!(apart.heads(), network.heads());
        let again = apart.forward(scaled.narrow(0, 0, 2)).unwrap();
        let difference: f32 = (again[4].clone() - layers[4].clone()).abs().max().into_scalar();
        assert_eq!(difference, 0.0);
        let error = Perceptual::load(&path, None, &device()).unwrap_err().to_string();
        assert!(error.contains("lin0.model.1.weight"), "{error}");
        let least = if kind == TrunkKind::AlexNet { 31 } else { 16 };
        assert!(network.forward(pictures([1, 3, least, least])).is_ok());
        assert!(network.forward(pictures([1, 3, least - 1, 40])).is_err());
    }
}

#[test]
fn image_embeddings_agree_with_transformers() {
    for name in ["clip-quick", "clip-gelu", "clip-whole"] {
        let network = ClipVisionModel::load(folder().join(name), &device()).unwrap();
        let golden = tensors(folder(), name);
        let hidden = network.forward(pictures([2, 3, 24, 24]) * 4.0 - 2.0).unwrap();
        check("clip vision", name, relative_error(&golden, "last_hidden_state", hidden.clone()));
        let embedded = network.embed(hidden);
        check("clip vision", &format!("{name} embedding"), relative_error(&golden, "image_embeds", embedded));
        assert_eq!(network.image_size(), 24);
        let error = network.forward(pictures([1, 3, 32, 24])).unwrap_err().to_string();
        assert_eq!(error, "pictures of 24x32 pixels, expected 24x24");
    }
}
