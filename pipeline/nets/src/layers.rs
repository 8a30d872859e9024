//! burn's layers filled from a checkpoint.
//!
//! Each function takes the layer's own burn configuration and reads `{name}.weight` and `{name}.bias`
//! from the scope, in PyTorch's layout.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, GroupNorm, GroupNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, RmsNorm,
};
use burn::tensor::Tensor;

use crate::error::Result;
use crate::weights::Scope;

/// A `torch.nn.Linear`: `weight` `[output, input]`, `bias` `[output]` unless the configuration has none.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn linear(scope: &Scope, name: &str, config: &LinearConfig) -> Result<Linear> {
    let scope = scope.enter(name);
    let weight = Param::from_tensor(scope.transposed("weight", config.d_output, config.d_input)?);
    let bias = config.bias.then(|| scope.param("bias", [config.d_output])).transpose()?;
    Ok(Linear { weight, bias })
}

/// A `torch.nn.Conv2d`: `weight` `[output, input / groups, height, width]`, `bias` `[output]`.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn conv2d(scope: &Scope, name: &str, config: &Conv2dConfig) -> Result<Conv2d> {
    let scope = scope.enter(name);
    let ([input, output], [height, width]) = (config.channels, config.kernel_size);
    let mut layer = config.init(scope.device());
    layer.weight = scope.param("weight", [output, input / config.groups, height, width])?;
    layer.bias = config.bias.then(|| scope.param("bias", [output])).transpose()?;
    Ok(layer)
}

/// A `torch.nn.GroupNorm`: `weight` and `bias` `[channels]`.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn group_norm(scope: &Scope, name: &str, config: &GroupNormConfig) -> Result<GroupNorm> {
    let scope = scope.enter(name);
    let mut layer = config.init(scope.device());
    if config.affine {
        layer.gamma = Some(scope.param("weight", [config.num_channels])?);
        layer.beta = Some(scope.param("bias", [config.num_channels])?);
    }
    Ok(layer)
}

/// A `torch.nn.LayerNorm`: `weight` and `bias` `[d_model]`.
///
/// # Errors
/// When a tensor is missing or has another shape.
pub fn layer_norm(scope: &Scope, name: &str, config: &LayerNormConfig) -> Result<LayerNorm> {
    let scope = scope.enter(name);
    let mut layer = config.init(scope.device());
    layer.gamma = scope.param("weight", [config.d_model])?;
    layer.beta = config.bias.then(|| scope.param("bias", [config.d_model])).transpose()?;
    Ok(layer)
}

/// A `torch.nn.Embedding`: `weight` `[n_embedding, d_model]`.
///
/// # Errors
/// When the tensor is missing or has another shape.
pub fn embedding(scope: &Scope, name: &str, config: &EmbeddingConfig) -> Result<Embedding> {
    Ok(Embedding { weight: scope.enter(name).param("weight", [config.n_embedding, config.d_model])? })
}

/// T5's norm, x / √(mean(x²) + epsilon) · weight: `weight` `[dim]`.
///
/// # Errors
/// When the tensor is missing or has another shape.
pub fn rms_norm(scope: &Scope, name: &str, dim: usize, epsilon: f64) -> Result<RmsNorm> {
    Ok(RmsNorm { gamma: scope.enter(name).param("weight", [dim])?, epsilon })
}

/// The output layer of a language model: states `[rows, tokens, dim]` to scores `[rows, tokens, vocabulary]`
/// through `head`, or through the transposed embedding where the two are tied.
pub fn scores(states: Tensor<3>, head: Option<&Linear>, words: &Embedding) -> Tensor<3> {
    let [rows, tokens, dim] = states.dims();
    let flat = states.reshape([rows * tokens, dim]);
    // A product with a single row is added up in another order, and a caption must not depend on its batch.
    let flat = match rows * tokens {
        1 => flat.repeat_dim(0, 2),
        _ => flat,
    };
    let scores = match head {
        Some(head) => head.forward(flat),
        None => flat.matmul(words.weight.val().transpose()),
    };
    let vocabulary = scores.dims()[1];
    scores.narrow(0, 0, rows * tokens).reshape([rows, tokens, vocabulary])
}
