//! Weights that no file holds: how a network starts that is trained from scratch.
//!
//! A network is built by taking its tensors by name, wherever they come from. From scratch they are drawn:
//! each with the distribution that PyTorch gives its layer, the numbers by the caller, who may also give
//! a tensor another distribution.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// The distribution that a tensor starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// Uniform in ± this.
    Uniform(f32),
    /// Normal with this standard deviation.
    Normal(f32),
    /// This number everywhere.
    Constant(f32),
}

/// Draws the numbers of a tensor: its name, its shape in PyTorch's layout and PyTorch's own distribution
/// for it.
pub type Draw = Box<dyn Fn(&str, &[usize], Start) -> Vec<f32> + Send + Sync>;

/// The source of drawn weights.
pub(super) struct Initial {
    draw: Draw,
    /// A layer's bias has the bound of its weight, which is taken first.
    bounds: Mutex<BTreeMap<String, f32>>,
}

impl fmt::Debug for Initial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Initial")
    }
}

impl Initial {
    pub(super) fn new(draw: Draw) -> Self {
        Self { draw, bounds: Mutex::default() }
    }

    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        (self.draw)(name, shape, self.start(name, shape))
    }

    /// `torch.nn`'s defaults: U(±1/√fan_in) for the weight and the bias of a linear map or a convolution,
    /// ones and zeros for those of a normalisation.
    fn start(&self, name: &str, shape: &[usize]) -> Start {
        let (layer, kind) = name.rsplit_once('.').unwrap_or(("", name));
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        match (kind, shape) {
            ("bias", _) => match bounds.get(layer) {
                Some(bound) => Start::Uniform(*bound),
                None => Start::Constant(0.0),
            },
            (_, [_]) => Start::Constant(1.0),
            (_, shape) => {
                let inputs: usize = shape.iter().skip(1).product();
                let bound = 1.0 / (inputs.max(1) as f32).sqrt();
                bounds.insert(layer.to_owned(), bound);
                Start::Uniform(bound)
            }
        }
    }
}
