//! What a decoder remembers of the tokens that it has read.

use burn::tensor::{Int, Tensor};

/// Keys and values of attention layers, each `[rows, heads, tokens, head_dim]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyValues {
    layers: Vec<(Tensor<4>, Tensor<4>)>,
}

impl KeyValues {
    /// Number of tokens that have been read.
    pub(crate) fn tokens(&self) -> usize {
        self.layers.first().map_or(0, |(key, _)| key.dims()[2])
    }

    /// The keys and values of a layer, if it has read anything.
    pub(crate) fn get(&self, layer: usize) -> Option<(Tensor<4>, Tensor<4>)> {
        self.layers.get(layer).cloned()
    }

    /// Puts keys and values behind those of a layer, and gives all of them. Layers come in their order.
    pub(crate) fn extend(&mut self, layer: usize, key: Tensor<4>, value: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let entry = match self.get(layer) {
            None => (key, value),
            Some((old_key, old_value)) => (Tensor::cat(vec![old_key, key], 2), Tensor::cat(vec![old_value, value], 2)),
        };
        match self.layers.get_mut(layer) {
            Some(slot) => *slot = entry.clone(),
            None => self.layers.push(entry.clone()),
        }
        entry
    }

    /// Keeps the given rows in the given order; a row may be taken more than once.
    pub(crate) fn select(&mut self, rows: &Tensor<1, Int>) {
        for (key, value) in &mut self.layers {
            *key = key.clone().select(0, rows.clone());
            *value = value.clone().select(0, rows.clone());
        }
    }
}
