//! `glassctl nets run` against tensors that the reference libraries made.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::support::Outcome;
use crate::support::snapshot::{Masked, check, check_masked};

fn goldens(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../nets/goldens/diffusion").join(path)
}

type Tensors = HashMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.tensors().into_iter().map(|(name, view)| (name, owned(view))).collect()
}

/// Writes some tensors of a golden under the names that the reference's arguments have.
fn inputs(golden: &Tensors, names: &[(&str, &str)], path: &Path) {
    let views = names.iter().map(|(theirs, name)| {
        let (dtype, shape, bytes) = &golden[*theirs];
        (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn floats((dtype, _, bytes): &(Dtype, Vec<usize>, Vec<u8>)) -> Vec<f32> {
    assert_eq!(*dtype, Dtype::F32);
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn error(ours: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(ours.len(), reference.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    largest(&mut ours.iter().zip(reference).map(|(a, b)| (a - b).abs()))
        / largest(&mut reference.iter().map(|b| b.abs()))
}

/// What differs from run to run in what is told of a network.
const MEASURED: [Masked; 3] = [
    Masked { after: "\"loading_seconds\": ", until: "\n" },
    Masked { after: "\"seconds\": ", until: "\n" },
    Masked { after: "\"peak_memory_bytes\": ", until: "\n" },
];

fn run(net: &str, weights: &Path, folder: &Path, more: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glassctl"));
    command
        .args(["nets", "run", net, "--weights"])
        .arg(weights)
        .args(["--inputs", "in.safetensors", "--outputs", "out.safetensors"])
        .args(more)
        .current_dir(folder);
    Outcome::of(&mut command)
}

fn unet(folder: &Path) -> Tensors {
    let golden = read(&goldens("unet-mini.safetensors"));
    let names = [("sample", "sample"), ("timesteps", "timestep"), ("context", "encoder_hidden_states")];
    inputs(&golden, &names, &folder.join("in.safetensors"));
    golden
}

fn mini_unet() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/mini/stable-diffusion/unet")
}

#[test]
fn a_unet_gives_the_references_numbers_and_its_attention() {
    let folder = tempfile::tempdir().unwrap();
    let golden = unet(folder.path());
    let outcome = run("unet", &mini_unet(), folder.path(), &["--capture", "8"]);
    check("nets-run", &outcome, folder.path());
    let ours = read(&folder.path().join("out.safetensors"));
    assert!(error(&floats(&ours["sample"]), &floats(&golden["output"])) <= 1e-4);
    // Both kinds of map are distributions: over words, over positions.
    for (name, width) in [("cross_8", 77), ("self_8", 64)] {
        assert_eq!(ours[name].1, [2, 64, width], "{name}");
        for row in floats(&ours[name]).chunks(width) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{name}");
        }
    }
}

/// bfloat16 keeps eight bits, and a UNet is some fifty layers deep: two digits are left.
#[test]
fn half_precision_stays_near() {
    let folder = tempfile::tempdir().unwrap();
    let golden = unet(folder.path());
    let outcome = run("unet", &mini_unet(), folder.path(), &["--dtype", "bf16", "--json"]);
    check_masked("nets-run-json", &outcome, folder.path(), &MEASURED);
    let ours = read(&folder.path().join("out.safetensors"));
    let error = error(&floats(&ours["sample"]), &floats(&golden["output"]));
    assert!((1e-5..0.05).contains(&error), "{error}");
}

#[test]
fn what_cannot_be_run_is_said_plainly() {
    let folder = tempfile::tempdir().unwrap();
    unet(folder.path());
    let says = |net: &str, weights: &Path, more: &[&str], words: &[&str]| {
        run(net, weights, folder.path(), more).says(1, words);
        assert!(!folder.path().join("out.safetensors").exists());
    };
    let nowhere = folder.path().join("nowhere");
    says("unet", &nowhere, &[], &["nowhere/config.json"]);
    says("dinov2", &mini_unet(), &[], &["pixel_values", "in.safetensors", "encoder_hidden_states"]);
    says("unet", &mini_unet(), &["--capture", "7"], &["7x7", "[4, 8, 16]"]);
    says("unet", &mini_unet(), &["--device", "cuda"], &["cuda", "hint"]);
    std::fs::write(folder.path().join("in.safetensors"), b"not tensors").unwrap();
    says("unet", &mini_unet(), &[], &["in.safetensors"]);
}
