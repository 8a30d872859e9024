//! `glassctl models convert`, against files that torch wrote and what torch reads from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use crate::support::snapshot::check;
use crate::support::{Hub, Outcome, Place};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

/// A place with copies of goldens: what the convert command finds there.
fn place(files: &[(&str, &str)]) -> Place {
    let place = Place::new(&Hub::start());
    for (name, path) in files {
        let path = place.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(golden(name), path).unwrap();
    }
    place
}

fn convert(place: &Place, arguments: &[&str]) -> Outcome {
    place.run(&[&["convert"], arguments].concat())
}

/// Every tensor: type, shape, bytes.
fn tensors(path: &Path) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        (name, (format!("{:?}", view.dtype()), view.shape().to_vec(), view.data().to_vec()))
    };
    file.tensors().into_iter().map(tensor).collect()
}

#[test]
fn tensors_are_those_that_torch_reads() {
    let expected = tensors(&golden("expected.safetensors"));
    assert_eq!(expected.len(), 20);
    for name in ["zip.bin", "zip64.bin", "protocol4.bin", "legacy.bin"] {
        let place = place(&[(name, "x/pytorch_model.bin")]);
        let outcome = convert(&place, &["x"]);
        outcome.says(0, &[]);
        assert_eq!(outcome.stdout.trim(), "x/model.safetensors");
        let found = tensors(&place.path("x/model.safetensors"));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        for (tensor, value) in &found {
            assert_eq!(value, &expected[tensor], "`{tensor}` of {name}");
        }
    }
}

#[test]
fn the_header_says_what_transformers_asks_for() {
    let place = place(&[("zip.bin", "a.pth")]);
    check("models-convert-json", &convert(&place, &["a.pth", "--json"]), place.root());
    let bytes = std::fs::read(place.path("a.safetensors")).unwrap();
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    assert_eq!(header % 8, 0);
}

#[test]
fn a_file_that_would_run_a_command_is_refused_and_runs_nothing() {
    let place = place(&[("malicious.bin", "x/pytorch_model.bin")]);
    let outcome = convert(&place, &["x"]);
    outcome.says(1, &["pytorch_model.bin", "`posix.system`", "nothing was run", "hint: "]);
    assert!(!place.path("it-was-run").exists());
    assert!(!place.path("x/model.safetensors").exists());
}

#[test]
fn a_training_checkpoint_needs_the_key_of_its_weights() {
    let place = place(&[("training.ckpt", "last.ckpt")]);
    convert(&place, &["last.ckpt"]).says(1, &["last.ckpt", "--key", "`state_dict`"]);
    convert(&place, &["last.ckpt", "--key", "state"]).says(1, &["no entry `state`", "`epoch`"]);
    let out = ["last.ckpt", "--key", "state_dict", "--out", "w/model.safetensors"];
    convert(&place, &out).says(0, &["w/model.safetensors"]);
    assert_eq!(tensors(&place.path("w/model.safetensors")), tensors(&golden("training.safetensors")));
    convert(&place, &out).says(1, &["there already", "--out"]);
}

#[test]
fn shards_and_components_keep_their_places() {
    let place = place(&[
        ("zip.bin", "x/text/pytorch_model-00001-of-00001.bin"),
        ("legacy.bin", "x/unet/diffusion_pytorch_model.bin"),
        ("zip.bin", "x/optimizer.bin"),
    ]);
    let index = place.path("x/text/pytorch_model.bin.index.json");
    let map = |tensor: &str| format!(r#"{{"weight_map":{{"{tensor}":"pytorch_model-00001-of-00001.bin"}}}}"#);
    std::fs::write(&index, map("absent")).unwrap();
    convert(&place, &["x"]).says(1, &["tensor `absent` is not in"]);
    std::fs::remove_file(place.path("x/text/model-00001-of-00001.safetensors")).unwrap();
    std::fs::write(&index, map("scalar")).unwrap();
    let outcome = convert(&place, &["x"]);
    check("models-convert", &outcome, place.root());
    assert!(!place.path("x/optimizer.safetensors").exists());
    place.run_with(&["verify", "x"], &[]).says(1, &["--manifests"]);
    std::fs::create_dir_all(place.path("locks")).unwrap();
    place.run(&["verify", "x"]).says(0, &["20 tensors in 1 shards", "unet/diffusion_pytorch_model.safetensors"]);
    convert(&place, &["x"]).says(0, &["there already"]);
}

#[test]
fn damaged_files_are_errors_and_leave_nothing_behind() {
    let place = place(&[("zip.bin", "a.bin"), ("legacy.bin", "b.bin"), ("expected.safetensors", "c.bin")]);
    for name in ["a.bin", "b.bin"] {
        let whole = std::fs::read(place.path(name)).unwrap();
        for length in [0, 3, 10, 100, whole.len() / 2, whole.len() - 30] {
            std::fs::write(place.path("cut.bin"), &whole[..length]).unwrap();
            convert(&place, &["cut.bin"]).says(1, &["cut.bin", "hint: "]);
        }
    }
    convert(&place, &["c.bin"]).says(1, &["it is no file that `torch.save` wrote"]);
    convert(&place, &["absent.bin"]).says(1, &["absent.bin"]);
    std::fs::create_dir_all(place.path("empty")).unwrap();
    convert(&place, &["empty"]).says(1, &["holds no PyTorch checkpoint"]);
    let left = |name: &str| name.contains("cut.s");
    let names = std::fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| left(&name.to_string_lossy())));
}
