//! Multi-head attention without maps, shared by the transformers.

use burn::tensor::Tensor;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;

pub use crate::ops::attention as attend;

/// Which keys a query may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// All of them.
    All,
    /// Those at its own position and before.
    Causal,
}

/// `[batch, tokens, heads * head_dim]` to `[batch, heads, tokens, head_dim]`.
pub fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, width] = x.dims();
    x.reshape([batch, tokens, heads, width / heads]).swap_dims(1, 2)
}

/// `[batch, heads, tokens, head_dim]` to `[batch, tokens, heads * head_dim]`.
pub fn merge_heads(x: Tensor<4>) -> Tensor<3> {
    let [batch, heads, tokens, head_dim] = x.dims();
    x.swap_dims(1, 2).reshape([batch, tokens, heads * head_dim])
}

/// softmax(scale · Q Kᵀ + bias) V; the scale is 1/√head_dim where none is given.
///
/// The bias is `[batch or 1, heads or 1, queries, keys]`. A query all of whose scores are minus infinity
/// gives zeros.
pub fn attend_biased(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Tensor<4>,
    scale: Option<f64>,
) -> Tensor<4> {
    let options = AttentionModuleOptions { scale, ..Default::default() };
    attention(query, key, value, None, Some(bias), options)
}

/// Attention of tokens that have just been read on themselves and all before them.
///
/// Without a bias, either all tokens are new or one is. With it, the bias hides what comes later.
pub fn attend_on_past(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, bias: Option<Tensor<4>>) -> Tensor<4> {
    match (bias, query.dims()[2]) {
        (Some(bias), _) => attend_biased(query, key, value, bias, None),
        // A single new token sees all that came before it.
        (None, 1) => attend(query, key, value, Visibility::All),
        (None, _) => attend(query, key, value, Visibility::Causal),
    }
}
