//! What networks compute in.

use serde::{Deserialize, Serialize};

/// The type of weights and activations. It changes what comes out, so it is part of a dataset's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16, for GPUs.
    Bf16,
    /// IEEE half precision, for GPUs.
    F16,
}

impl Precision {
    /// As it stands in the spec.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}
