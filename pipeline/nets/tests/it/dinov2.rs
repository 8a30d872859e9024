use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Tensor, s};
use glass_nets::dinov2::Dinov2Model;
use glass_nets::image::{ImageProcessor, RgbImage};
use glass_nets::vision::PositionInterpolation;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use tempfile::TempDir;

use crate::support::{assets, check, device, goldens, noise, relative_error, tensors};

#[test]
fn hidden_states_agree_with_transformers() {
    let cases: [(&str, &str, &[[usize; 2]]); 6] = [
        ("swiglu", "swiglu", &[[56, 56], [84, 84], [70, 42]]),
        ("narrow", "narrow", &[[40, 40], [24, 24]]),
        ("registers", "registers", &[[42, 42], [24, 30], [60, 60]]),
        ("giant", "giant", &[[28, 28], [35, 21]]),
        ("dino", "dino", &[[40, 40], [64, 24]]),
        ("mini", "", &[[64, 96]]),
    ];
    for (name, folder, sizes) in cases {
        let checkpoint = match folder {
            "" => assets().join("mini/dinov2"),
            folder => goldens().join("dinov2").join(folder),
        };
        let model = Dinov2Model::load(checkpoint, &device()).unwrap();
        let golden = tensors(goldens().join("dinov2"), name);
        for [height, width] in sizes {
            let size = format!("{height}x{width}");
            let batch = golden.shape(&size).unwrap()[0];
            let hidden = model.forward(noise([batch, 3, *height, *width])).unwrap();
            check("dinov2", &format!("{name} {size}"), relative_error(&golden, &size, hidden));
        }
    }
}

#[test]
fn positions_stretch_by_the_factor_of_the_original_code_when_asked() {
    let model = Dinov2Model::load(goldens().join("dinov2/swiglu"), &device()).unwrap();
    let golden = tensors(goldens().join("dinov2"), "swiglu");
    let model = model.with_interpolation(PositionInterpolation::HubOffset);
    let hidden = model.forward(noise([2, 3, 84, 84])).unwrap();
    check("dinov2", "swiglu 84x84 hub offset", relative_error(&golden, "84x84-hub", hidden));
}

#[test]
fn a_scene_agrees_from_its_bytes_on() {
    let folder = assets().join("mini/dinov2");
    let golden = tensors(goldens().join("dinov2"), "mini");
    let scene = RgbImage::from_raw(128, 128, golden.bytes("scene-bytes").unwrap().to_vec()).unwrap();
    let pixels = ImageProcessor::load(&folder).unwrap().batch(&[scene], &device()).unwrap();
    let hidden = Dinov2Model::load(&folder, &device()).unwrap().forward(pixels).unwrap();
    let eighth = hidden.slice([s![..], s![..;8], s![..]]);
    check("dinov2", "mini scene", relative_error(&golden, "scene", eighth));
}

#[test]
fn patch_tokens_leave_out_class_and_registers() {
    let model = Dinov2Model::load(goldens().join("dinov2/registers"), &device()).unwrap();
    let pixels: Tensor<4> = noise([1, 3, 24, 30]);
    let (all, patches) = (model.forward(pixels.clone()).unwrap(), model.patch_tokens(pixels).unwrap());
    assert_eq!(patches.dims(), [1, 20, 32]);
    let difference: f32 = (all.narrow(1, 4, 20) - patches).abs().max().into_scalar();
    assert_eq!(difference, 0.0);
}

#[test]
fn a_picture_that_does_not_divide_into_patches_is_refused() {
    let model = Dinov2Model::load(goldens().join("dinov2/narrow"), &device()).unwrap();
    let error = model.forward(noise([1, 3, 42, 40])).unwrap_err().to_string();
    assert_eq!(error, "pictures of 40x42 pixels do not divide into patches of 4 pixels");
}

#[test]
fn states_of_every_block_agree_with_transformers() {
    for (name, size, layers) in [("giant", [35, 21], 2), ("dino", [64, 24], 3)] {
        let model = Dinov2Model::load(goldens().join("dinov2").join(name), &device()).unwrap();
        let golden = tensors(goldens().join("dinov2"), name);
        assert_eq!(model.layers(), layers);
        for after in 0..=layers {
            let pixels = noise([2, 3, size[0], size[1]]);
            let state = model.hidden_state(pixels, after).unwrap();
            let what = format!("after-{after}");
            let error = relative_error(&golden, &what, state);
            check("dinov2", &format!("{name} {what}"), error);
        }
        let error = model.hidden_state(noise([1, 3, 56, 56]), layers + 1).unwrap_err();
        assert!(error.to_string().contains("the network has"), "{error}");
    }
}

/// How a tensor is called elsewhere.
type Renaming<'r> = &'r [(&'r str, &'r str)];

/// The names of the original code; queries, keys and values are put together after this.
const ORIGINAL: Renaming = &[
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.", ""),
    ("encoder.layer", "blocks"),
    ("attention.output.dense", "attn.proj"),
    ("attention.attention.", "attn."),
    ("layer_scale1.lambda1", "ls1.gamma"),
    ("layer_scale2.lambda1", "ls2.gamma"),
    ("mlp.weights_in", "mlp.w12"),
    ("mlp.weights_out", "mlp.w3"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
    ("layernorm", "norm"),
    ("pooler.dense", "head.last_layer"),
];

/// The names that transformers 5 has in memory.
const IN_MEMORY: Renaming = &[
    ("encoder.layer", "layers"),
    ("attention.attention.query", "attention.q_proj"),
    ("attention.attention.key", "attention.k_proj"),
    ("attention.attention.value", "attention.v_proj"),
    ("attention.output.dense", "attention.o_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
];

/// A copy of a checkpoint under other names.
fn renamed(checkpoint: &Path, names: Renaming) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::copy(checkpoint.join("config.json"), folder.path().join("config.json")).unwrap();
    let weights = tensors(checkpoint, "model");
    let mut files: HashMap<String, (Vec<usize>, Vec<u8>)> = weights
        .names()
        .map(|name| {
            let new = names.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
            let shape = weights.shape(name).unwrap().to_vec();
            (new, (shape, weights.bytes(name).unwrap().to_vec()))
        })
        .collect();
    let queries: Vec<String> = files.keys().filter(|name| name.contains("attn.query")).cloned().collect();
    for query in queries {
        let parts = ["query", "key", "value"].map(|part| query.replace("query", part));
        let parts = parts.map(|name| files.remove(&name).unwrap());
        let mut shape = parts[0].0.clone();
        shape[0] *= 3;
        let bytes = parts.map(|(_, bytes)| bytes).concat();
        files.insert(query.replace("query", "qkv"), (shape, bytes));
    }
    let views = files.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F16, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    let path = folder.path().join("model.safetensors");
    serialize_to_file(views, None::<HashMap<String, String>>, &path).unwrap();
    folder
}

#[test]
fn files_may_be_named_as_the_original_code_names_them() {
    let cases = [
        ("dino", ORIGINAL, [40, 40]),
        ("dino", IN_MEMORY, [40, 40]),
        ("giant", ORIGINAL, [28, 28]),
        ("registers", ORIGINAL, [42, 42]),
        ("narrow", ORIGINAL, [40, 40]),
    ];
    for (name, names, [height, width]) in cases {
        let folder = renamed(&goldens().join("dinov2").join(name), names);
        let model = Dinov2Model::load(folder.path(), &device()).unwrap();
        let golden = tensors(goldens().join("dinov2"), name);
        let hidden = model.forward(noise([2, 3, height, width])).unwrap();
        let error = relative_error(&golden, &format!("{height}x{width}"), hidden);
        check("dinov2", &format!("{name} renamed"), error);
    }
}

#[test]
fn an_encoder_of_another_kind_is_refused_by_its_field() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.json");
    let cases = [
        (r#"{"model_type": "swin"}"#, "`model_type`"),
        (r#"{"model_type": "vit", "patch_size": [8, 4]}"#, "`patch_size`"),
        (r#"{"model_type": "vit", "image_size": "large"}"#, "`image_size`"),
        (r#"{"model_type": "vit", "num_attention_heads": 5}"#, "`num_attention_heads`"),
        (r#"{"model_type": "dinov2", "hidden_act": "sine"}"#, "`hidden_act`"),
    ];
    for (config, field) in cases {
        std::fs::write(&path, config).unwrap();
        let error = Dinov2Model::load(folder.path(), &device()).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
}
