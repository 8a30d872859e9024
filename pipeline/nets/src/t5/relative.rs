//! T5's positions: a bias on the attention's scores by the distance between two tokens.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{Int, Tensor, TensorData};

use super::T5Config;
use crate::error::Result;
use crate::layers::embedding;
use crate::weights::Scope;

/// Which way a token looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Direction {
    /// To both sides: the encoder.
    #[default]
    Both,
    /// Back: the decoder.
    Back,
}

/// The bias that a stack's first layer holds and all its layers share.
#[derive(Module, Debug)]
pub(super) struct RelativeBias {
    table: Embedding,
    #[module(skip)]
    buckets: Buckets,
}

impl RelativeBias {
    pub(super) fn load(scope: &Scope, config: &T5Config, direction: Direction) -> Result<Self> {
        let buckets = Buckets {
            direction,
            count: config.relative_attention_num_buckets,
            max_distance: config.relative_attention_max_distance,
        };
        let table = EmbeddingConfig::new(buckets.count, config.num_heads);
        Ok(Self { table: embedding(scope, "relative_attention_bias", &table)?, buckets })
    }

    /// The bias of `queries` tokens, the first of which stands at `first`, on the keys from position 0 to
    /// the last query's, `[1, heads, queries, first + queries]`.
    pub(super) fn forward(&self, first: usize, queries: usize) -> Tensor<4> {
        let keys = first + queries;
        let mut indices = Vec::with_capacity(queries * keys);
        for query in first..keys {
            let bucket = |key: usize| self.buckets.of(key as i64 - query as i64) as i64;
            indices.extend((0..keys).map(bucket));
        }
        let count = indices.len();
        let table = self.table.weight.val();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), &table.device());
        let heads = table.dims()[1];
        // [queries * keys, heads] -> [1, heads, queries, keys]
        table.select(0, indices).reshape([1, queries, keys, heads]).permute([0, 3, 1, 2])
    }
}

/// Distances in buckets: near ones by themselves, far ones in steps that grow with their logarithm.
#[derive(Debug, Clone, Copy, Default)]
struct Buckets {
    direction: Direction,
    count: usize,
    max_distance: usize,
}

impl Buckets {
    /// The bucket of a key that stands `relative` tokens after its query.
    fn of(&self, relative: i64) -> usize {
        let (count, first) = match self.direction {
            Direction::Both if relative > 0 => (self.count / 2, self.count / 2),
            Direction::Both => (self.count / 2, 0),
            Direction::Back => (self.count, 0),
        };
        let distance = match self.direction {
            Direction::Both => relative.unsigned_abs() as usize,
            Direction::Back => (-relative).max(0) as usize,
        };
        let exact = count / 2;
        if distance < exact {
            return first + distance;
        }
        // In f32 as upstream: where a logarithm falls on a bucket's edge the rounding decides.
        let ratio = (distance as f32 / exact as f32).ln();
        let range = (self.max_distance as f64 / exact as f64).ln() as f32;
        let step = (ratio / range * (count - exact) as f32) as usize;
        first + (exact + step).min(count - 1)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        count: usize,
        distance: usize,
        both: bool,
        runs: Vec<(usize, usize)>,
    }

    /// The buckets of -1000..=1000 as runs (bucket, length), from `T5Attention._relative_position_bucket`.
    const CASES: &str = include_str!("../../goldens/t5/buckets.json");

    #[test]
    fn buckets_are_those_of_transformers() {
        for case in serde_json::from_str::<Vec<Case>>(CASES).unwrap() {
            let buckets = Buckets {
                direction: if case.both { Direction::Both } else { Direction::Back },
                count: case.count,
                max_distance: case.distance,
            };
            let expected = case.runs.iter().flat_map(|run| std::iter::repeat_n(run.0, run.1));
            let found = (-1000..=1000).map(|relative| buckets.of(relative));
            assert!(found.eq(expected), "{buckets:?}");
        }
    }
}
