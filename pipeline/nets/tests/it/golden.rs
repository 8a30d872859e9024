//! Reading reference tensors, and the measure of agreement.

use std::path::PathBuf;

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

/// The tolerance of every network: the largest difference relative to the largest reference value. Both
/// sides compute in f32 from the same weights; what remains is the order of sums.
pub const TOLERANCE: f64 = 1e-4;

/// The checkpoints and pictures that ship.
pub fn mini(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/mini").join(path)
}

/// Files made by `ci/reference`.
pub fn goldens(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("goldens").join(path)
}

/// One file of reference tensors.
pub struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    pub fn open(path: &str) -> Self {
        Self { bytes: std::fs::read(goldens(path)).unwrap() }
    }

    fn view(&self, name: &str) -> (Dtype, Vec<usize>, Vec<u8>) {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = file.tensor(name).unwrap();
        (view.dtype(), view.shape().to_vec(), view.data().to_vec())
    }

    pub fn values(&self, name: &str) -> Vec<f32> {
        let (dtype, _, bytes) = self.view(name);
        assert_eq!(dtype, Dtype::F32, "`{name}`");
        bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    pub fn integers(&self, name: &str) -> Vec<i64> {
        let (dtype, _, bytes) = self.view(name);
        assert_eq!(dtype, Dtype::I64, "`{name}`");
        bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.view(name).1
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(TensorData::new(self.values(name), self.shape(name)), device)
    }

    pub fn int_tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D, Int> {
        Tensor::from_data(TensorData::new(self.integers(name), self.shape(name)), device)
    }
}

pub fn vector<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// max |a − b| / max |b|.
pub fn relative_error(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    let difference = ours.iter().zip(reference).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    let scale = reference.iter().map(|b| f64::from(b.abs())).fold(f64::MIN_POSITIVE, f64::max);
    // NaN would pass a comparison made with `max`.
    assert!(ours.iter().all(|a| a.is_finite()));
    difference / scale
}

/// Prints one row of the parity table (`cargo test -p glass-nets -- parity --nocapture`) and checks it.
pub fn parity(net: &str, configuration: &str, ours: &[f32], reference: &[f32]) {
    let error = relative_error(ours, reference);
    println!("| {net} | {configuration} | {error:.1e} |");
    assert!(error <= TOLERANCE, "{net} {configuration}: relative error {error:.2e}");
}
