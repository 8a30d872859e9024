//! Goldens, inputs and comparisons.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use glass_nets::Weights;

/// The largest error relative to the largest value that counts as agreement. Both sides compute in f32
/// and add up in different orders, which moves the seventh digit; a wrong constant moves the third.
pub const TOLERANCE: f32 = 1e-4;

pub fn device() -> Device {
    Device::flex()
}

pub fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens")
}

pub fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets")
}

/// The tensors of a file `{stem}.safetensors`.
pub fn tensors(folder: impl AsRef<Path>, stem: &str) -> Weights {
    Weights::open(folder, stem).unwrap()
}

/// The input that the reference scripts call `noise`: values in [-2, 2) from a hash of the index.
pub fn noise<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u64)
        .map(|index| {
            (((index * 2_654_435_761 + 12_345) % (1 << 32)) as f64 / f64::from(u32::MAX).mul_add(1.0, 1.0) - 0.5) as f32
                * 4.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

/// The largest difference to `name` in the golden, relative to its largest value.
pub fn relative_error<const D: usize>(golden: &Weights, name: &str, found: Tensor<D>) -> f32 {
    let expected = golden.tensor(name, found.dims(), &device()).unwrap();
    let scale: f32 = expected.clone().abs().max().into_scalar();
    let difference: f32 = (found - expected).abs().max().into_scalar();
    difference / scale
}

/// Prints a line of the parity table and checks it.
pub fn check(network: &str, configuration: &str, error: f32) {
    println!("parity | {network} | {configuration} | {error:.1e}");
    assert!(error <= TOLERANCE, "{network} {configuration}: relative error {error:.1e}");
}
