//! Choosing where to compute, by name.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

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
        .map_err(|message| NetsError::Device {
            name: self.to_string(),
            message,
        })
    }
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
    let found = Device::enumerate(burn::tensor::DeviceType::Cuda)
        .into_vec()
        .len();
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
    match Device::enumerate(burn::tensor::DeviceType::Wgpu)
        .into_vec()
        .into_iter()
        .next()
    {
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
