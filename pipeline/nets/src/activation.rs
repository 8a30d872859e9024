//! Activations by the names that `config.json` gives them.

use std::fmt;

use burn::tensor::{Tensor, activation};
use serde::Deserialize;

use crate::ops;

/// An activation function; the names are those of transformers' `ACT2FN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · Φ(x) with the error function.
    #[default]
    Gelu,
    /// GELU with its hyperbolic tangent approximation.
    #[serde(alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    /// x · σ(1.702 x).
    QuickGelu,
    /// max(x, 0).
    Relu,
    /// x · σ(x).
    #[serde(alias = "swish")]
    Silu,
}

impl Activation {
    /// Applies the function to every element.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Gelu => ops::gelu(x),
            Self::GeluNew => activation::gelu_approximate(x),
            Self::QuickGelu => ops::quick_gelu(x),
            Self::Relu => activation::relu(x),
            Self::Silu => activation::silu(x),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gelu => "gelu",
            Self::GeluNew => "gelu_new",
            Self::QuickGelu => "quick_gelu",
            Self::Relu => "relu",
            Self::Silu => "silu",
        })
    }
}
