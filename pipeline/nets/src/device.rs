//! Choosing where to compute, by name.

use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};

use crate::error::{NetsError, Result};

/// A backend as a user names it: `flex`, `cuda`, `cuda:1`, `wgpu`.
///
/// burn's own default picks the first backend that was compiled in and panics at the first operation when
/// its driver is absent; here a device is asked for by name and probed before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The processor.
    #[default]
    Flex,
    /// An NVIDIA GPU by its index.
    Cuda(usize),
    /// Any GPU that Vulkan, Metal or WebGPU reaches.
    Wgpu,
}

impl Backend {
    /// The device, after a look whether it exists.
    ///
    /// # Errors
    /// [`NetsError::Device`] when this build has no such backend or the machine has no such device.
    pub fn device(self) -> Result<Device> {
        match self {
            Self::Flex => flex(),
            Self::Cuda(index) => cuda(index),
            Self::Wgpu => wgpu(),
        }
        .map_err(|message| NetsError::Device { name: self.to_string(), message })
    }
}

/// The type that networks compute in.
///
/// | | `f32` | `bf16`, `f16` |
/// |---|---|---|
/// | weights, activations | f32 | the half type |
/// | sums inside products, norms, softmax | f32 | f32, as the backend accumulates |
/// | timestep embedding | f32 | f32, then rounded, as upstream |
/// | scores of a UNet with `upcast_attention` | f32 | f32 |
/// | attention means | f32 | f32: scores are cast before the softmax, sums are kept in f32 |
/// | autoencoder with `force_upcast` | f32 | f32 in place of f16, as upstream's pipelines; bf16 stays |
/// | samplers' coefficients | f64 | f64; the sample itself is of the half type |
///
/// The processor's backend converts half types to `f32` for every product, which makes it slower than
/// `f32`: half types are for GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl Precision {
    /// burn's name of the type.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::Bf16 => FloatDType::BF16,
            Self::F16 => FloatDType::F16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}

impl FromStr for Precision {
    type Err = NetsError;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            "f16" => Ok(Self::F16),
            _ => Err(NetsError::input(format!("unknown type `{name}`, expected `f32`, `bf16` or `f16`"))),
        }
    }
}

/// The device with `precision` as the type of every tensor that is made on it from here on.
///
/// It is a setting of the whole process that can be made once, before the first tensor.
///
/// # Errors
/// As [`Backend::device`], and [`NetsError::Device`] when the device cannot compute in that type or has
/// been used before.
pub fn device_in(backend: Backend, precision: Precision) -> Result<Device> {
    let mut device = backend.device()?;
    if precision != Precision::F32 {
        device.configure(precision.dtype()).map_err(|error| NetsError::Device {
            name: backend.to_string(),
            message: format!("cannot compute in {precision}: {error}"),
        })?;
    }
    Ok(device)
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flex => f.write_str("flex"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Wgpu => f.write_str("wgpu"),
        }
    }
}

impl FromStr for Backend {
    type Err = NetsError;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || NetsError::Device {
            name: name.to_owned(),
            message: "unknown name, expected `flex`, `cuda`, `cuda:INDEX` or `wgpu`".to_owned(),
        };
        match name.split_once(':') {
            None if name == "flex" || name == "cpu" => Ok(Self::Flex),
            None if name == "cuda" => Ok(Self::Cuda(0)),
            None if name == "wgpu" => Ok(Self::Wgpu),
            Some(("cuda", index)) => index.parse().map(Self::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

#[cfg(feature = "flex")]
fn flex() -> std::result::Result<Device, String> {
    Ok(Device::flex())
}

#[cfg(not(feature = "flex"))]
fn flex() -> std::result::Result<Device, String> {
    Err(not_built("flex"))
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> std::result::Result<Device, String> {
    let found = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len();
    match found {
        0 => Err("no CUDA driver or no GPU on this machine".to_owned()),
        n if index >= n => Err(format!("this machine has {n} CUDA devices, counted from 0")),
        _ => Ok(Device::cuda(index)),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> std::result::Result<Device, String> {
    Err(not_built("cuda"))
}

#[cfg(feature = "wgpu")]
fn wgpu() -> std::result::Result<Device, String> {
    match Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec().into_iter().next() {
        Some(device) => Ok(device),
        None => Err("no GPU that Vulkan, Metal or WebGPU reaches".to_owned()),
    }
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> std::result::Result<Device, String> {
    Err(not_built("wgpu"))
}

#[cfg_attr(
    all(feature = "flex", feature = "cuda", feature = "wgpu"),
    expect(dead_code, reason = "every backend is built in")
)]
fn not_built(feature: &str) -> String {
    format!("this program was built without the feature `{feature}`")
}
