use std::collections::HashMap;
use std::path::Path;

use glass_nets::{NetsError, Weights, config};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde::Deserialize;
use tempfile::TempDir;

use crate::support::{device, goldens};

fn save(path: &Path, tensors: &[(&str, Vec<usize>, &[f32])]) {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, _, v)| v.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize_to_file(views, None::<HashMap<String, String>>, path).unwrap();
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let tensors = [("a.weight", vec![2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0][..]), ("a.bias", vec![2], &[7.0, 8.0])];
    save(&folder.path().join("model.safetensors"), &tensors);
    folder
}

#[test]
fn a_linear_weight_is_turned_over() {
    let folder = folder();
    let weights = Weights::open(folder.path(), "model").unwrap();
    let scope = weights.root(&device()).enter("a");
    let weight = scope.transposed("weight", 2, 3).unwrap();
    assert_eq!(weight.dims(), [3, 2]);
    assert_eq!(weight.into_data().try_to_vec::<f32>().unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
}

#[test]
fn a_wrong_tensor_is_named_with_its_file_and_both_shapes() {
    let folder = folder();
    let weights = Weights::open(folder.path(), "model").unwrap();
    let file = folder.path().join("model.safetensors");
    let error = weights.tensor("a.weight", [3, 2], &device()).unwrap_err();
    let expected = format!("tensor `a.weight` in `{}` has shape [2, 3], expected [3, 2]", file.display());
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().is_some());
    let error = weights.tensor("x.a.bias", [2], &device()).unwrap_err();
    let expected =
        format!("tensor `x.a.bias` of shape [2] is missing from `{}`; did you mean `a.bias`", file.display());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_tensor_that_nothing_took_is_an_error_unless_it_is_listed() {
    let folder = folder();
    let weights = Weights::open(folder.path(), "model").unwrap();
    weights.tensor("a.weight", [2, 3], &device()).unwrap();
    let error = weights.finish(&[]).unwrap_err().to_string();
    assert!(error.starts_with("1 tensors in") && error.ends_with("`a.bias`"), "{error}");
    weights.finish(&["*.bias"]).unwrap();
    weights.finish(&["a.*"]).unwrap();
}

#[test]
fn a_cut_file_is_called_damaged() {
    let folder = folder();
    let path = folder.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    for keep in [0, 5, 20, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let error = Weights::open(folder.path(), "model").unwrap_err();
        assert!(matches!(error, NetsError::Damaged { .. }), "{keep}: {error}");
        assert!(error.to_string().contains("model.safetensors"));
    }
}

#[test]
fn a_folder_without_weights_says_what_was_looked_for() {
    let folder = TempDir::new().unwrap();
    let error = Weights::open(folder.path(), "model").unwrap_err();
    assert!(error.to_string().contains("`model.fp16.safetensors`"), "{error}");
    let error = Weights::open(folder.path().join("nowhere"), "model").unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn shards_are_read_through_their_index() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    save(&path("model-1.safetensors"), &[("a", vec![1], &[1.0])]);
    save(&path("model-2.safetensors"), &[("b", vec![1], &[2.0])]);
    let index =
        |map: &str| std::fs::write(path("model.safetensors.index.json"), format!("{{\"weight_map\":{map}}}")).unwrap();

    index(r#"{"a":"model-1.safetensors","b":"model-2.safetensors"}"#);
    let weights = Weights::open(folder.path(), "model").unwrap();
    assert_eq!(weights.tensor("b", [1], &device()).unwrap().into_scalar::<f32>(), 2.0);
    assert_eq!(weights.digest().len(), 64);

    index(r#"{"a":"model-1.safetensors","b":"model-1.safetensors"}"#);
    let error = Weights::open(folder.path(), "model").unwrap_err().to_string();
    assert!(error.ends_with("tensor `b` is not in `model-1.safetensors`"), "{error}");

    index(r#"{"a":"../model-1.safetensors"}"#);
    let error = Weights::open(folder.path(), "model").unwrap_err().to_string();
    assert!(error.contains("not the name of a file in this folder"), "{error}");
}

#[test]
fn half_precision_variants_are_found() {
    let folder = folder();
    std::fs::rename(folder.path().join("model.safetensors"), folder.path().join("model.fp16.safetensors")).unwrap();
    assert!(Weights::open(folder.path(), "model").unwrap().contains("a.bias"));
}

#[test]
fn the_digest_of_a_single_file_is_its_sha256() {
    let weights = Weights::open(goldens().join("dinov2/narrow"), "model").unwrap();
    let bytes = std::fs::read(weights.path()).unwrap();
    assert_eq!(weights.digest(), hex::encode(<sha2::Sha256 as sha2::Digest>::digest(bytes)));
}

#[test]
fn a_wrong_field_of_a_configuration_is_named_with_its_file() {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        inner: Inner,
        width: usize,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        layers: usize,
    }
    let read = |text: &str| config::parse::<Outer>(text, Path::new("x/config.json"));
    let config = read(r#"{"width": null, "inner": {"layers": 3, "new_in_v9": [1]}}"#).unwrap();
    assert_eq!((config.width, config.inner.layers), (0, 3));
    let error = read(r#"{"width": 4, "inner": {"layers": "three"}}"#).unwrap_err().to_string();
    assert!(error.starts_with("bad field `inner.layers` in `x/config.json`: "), "{error}");
    let error = read("{").unwrap_err().to_string();
    assert!(error.starts_with("bad document in `x/config.json`: "), "{error}");
}

#[test]
fn a_device_that_is_not_there_is_an_error_and_no_panic() {
    use glass_nets::Backend;
    assert!("flex".parse::<Backend>().unwrap().device().is_ok());
    assert_eq!("cuda:1".parse::<Backend>().unwrap(), Backend::Cuda(1));
    let error = "gpu".parse::<Backend>().unwrap_err().to_string();
    assert!(error.starts_with("device `gpu`: unknown name"), "{error}");
    if !cfg!(feature = "cuda") {
        let error = Backend::Cuda(0).device().unwrap_err().to_string();
        assert_eq!(error, "device `cuda`: this program was built without the feature `cuda`");
    }
}
