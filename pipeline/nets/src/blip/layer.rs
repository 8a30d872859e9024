//! A layer of BLIP's text decoder.

use burn::module::Module;
use burn::tensor::Tensor;

use super::BlipTextConfig;
use crate::attention::{Visibility, attend, attend_on_past};
use crate::bert::{Attention, FeedForward, Sizes};
use crate::error::Result;
use crate::generate::KeyValues;
use crate::weights::Scope;

/// transformers' `BlipTextLayer` of a decoder.
#[derive(Module, Debug)]
pub(super) struct Layer {
    own: Attention,
    image: Attention,
    feed_forward: FeedForward,
}

impl Layer {
    pub(super) fn load(scope: &Scope, config: &BlipTextConfig, image_dim: usize) -> Result<Self> {
        let sizes = Sizes {
            dim: config.hidden_size,
            heads: config.num_attention_heads,
            hidden: config.intermediate_size,
            eps: config.layer_norm_eps,
        };
        let attention = |name, key_dim| Attention::load(&scope.enter(name), "self", &sizes, key_dim);
        let halves = ["intermediate", "output"];
        Ok(Self {
            own: attention("attention", sizes.dim)?,
            image: attention("crossattention", image_dim)?,
            feed_forward: FeedForward::load(scope, halves, &sizes, config.hidden_act)?,
        })
    }

    /// Keys and values of image tokens `[rows, image_tokens, image_dim]`.
    pub(super) fn image_keys(&self, image: &Tensor<3>) -> (Tensor<4>, Tensor<4>) {
        self.image.keys(image)
    }

    /// Attention on the tokens up to each.
    pub(super) fn look_back(
        &self,
        x: Tensor<3>,
        index: usize,
        bias: &Option<Tensor<4>>,
        written: &mut KeyValues,
    ) -> Tensor<3> {
        let (key, value) = self.own.keys(&x);
        let (key, value) = written.extend(index, key, value);
        let attended = attend_on_past(self.own.query(&x), key, value, bias.clone());
        self.own.finish(attended, x)
    }

    /// Attention on the image, then the MLP.
    pub(super) fn look_at(&self, x: Tensor<3>, image: Option<(Tensor<4>, Tensor<4>)>) -> Tensor<3> {
        let x = match image {
            Some((key, value)) => {
                let attended = attend(self.image.query(&x), key, value, Visibility::All);
                self.image.finish(attended, x)
            }
            None => x,
        };
        self.feed_forward.forward(x)
    }
}
