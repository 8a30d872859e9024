//! The last blocks of the network apart, to be trained on the states of those before.

use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::Tensor;

use super::Dinov2Model;
use super::block::Block;
use crate::error::{NetsError, Result};

/// The blocks from one on, and the final norm where it is wanted; made by [`Dinov2Model::tail`].
#[derive(Module, Debug)]
pub struct Dinov2Tail {
    blocks: Vec<Block>,
    norm: Option<LayerNorm>,
    prefix: usize,
}

/// Whether the final norm is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalNorm {
    /// `x_norm_patchtokens`.
    Applied,
    /// The tokens as the last block leaves them.
    LeftOut,
}

impl Dinov2Model {
    /// The blocks from `first` on (counted from 0). Their output on [`Dinov2Model::hidden_state`] after
    /// `first` blocks is the patches' tokens of the whole network.
    ///
    /// # Errors
    /// [`NetsError::Input`] when there is no such block.
    pub fn tail(&self, first: usize, norm: FinalNorm) -> Result<Dinov2Tail> {
        let Some(blocks) = self.blocks.get(first..).filter(|blocks| !blocks.is_empty()) else {
            let count = self.layers();
            return Err(NetsError::input(format!("there is no block {first}, the network has {count}")));
        };
        Ok(Dinov2Tail {
            blocks: blocks.to_vec(),
            norm: (norm == FinalNorm::Applied).then(|| self.norm.clone()),
            prefix: self.prefix_tokens(),
        })
    }
}

impl Dinov2Tail {
    /// `[batch, class + registers + patches, dim]` → the patches' tokens, `[batch, patches, dim]`.
    pub fn forward(&self, hidden: Tensor<3>) -> Tensor<3> {
        let x = self.blocks.iter().fold(hidden, |x, block| block.forward(x));
        let x = match &self.norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let count = x.dims()[1];
        x.narrow(1, self.prefix, count - self.prefix)
    }

    /// Tokens before those of the patches.
    pub fn prefix_tokens(&self) -> usize {
        self.prefix
    }

    /// With a final norm, if there is one, that is not trained.
    pub fn with_frozen_norm(mut self) -> Self {
        self.norm = self.norm.map(Module::no_grad);
        self
    }
}
