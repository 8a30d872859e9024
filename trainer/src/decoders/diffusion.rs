//! Stub until the UNet is in.
use burn::tensor::{Device, Tensor};
use glass_schemas::seeds::Stream;
use glass_schemas::spec::trainer::DiffusionDecoderSpec;

use crate::error::{Result, TrainerError};

/// Placeholder.
pub type UNet = crate::layers::Mlp;

/// Placeholder.
#[derive(Debug, Clone)]
pub struct DiffusionDecoder {
    /// The network.
    pub unet: UNet,
}

impl DiffusionDecoder {
    /// Placeholder.
    pub fn load(_: &DiffusionDecoderSpec, _: &Device) -> Result<Self> {
        Err(TrainerError::state("diffusion", "not built in yet"))
    }

    /// Placeholder.
    pub fn loss(&self, _: Tensor<4>, _: Tensor<3>, _: &[Stream], _: &[Stream]) -> Result<Tensor<1>> {
        Err(TrainerError::state("diffusion", "not built in yet"))
    }
}
