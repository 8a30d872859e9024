use std::collections::BTreeMap;

use super::frechet::check_features;
use crate::MetricsError;

/// At most so many rows of features, kept from a stream of any length: those with the smallest keys. With keys that
/// are random and belong to the pictures, that is a sample without repetition which no order of the stream can change.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSample {
    dim: usize,
    capacity: usize,
    rows: BTreeMap<u64, Vec<f32>>,
}

impl FeatureSample {
    /// For features of width `dim`.
    pub fn new(dim: usize, capacity: usize) -> Self {
        Self { dim, capacity, rows: BTreeMap::new() }
    }

    /// Offers one row; of two rows with the same key the first stays.
    pub fn offer(&mut self, key: u64, row: &[f32]) -> Result<(), MetricsError> {
        check_features(row, self.dim)?;
        if row.len() != self.dim {
            return Err(MetricsError::Features { problem: format!("are {} numbers, not one row", row.len()) });
        }
        let full = self.rows.len() >= self.capacity;
        let last = self.rows.last_key_value().map(|(&last, _)| last);
        if self.capacity == 0 || self.rows.contains_key(&key) || full && last.is_some_and(|last| key > last) {
            return Ok(());
        }
        if full {
            self.rows.pop_last();
        }
        self.rows.insert(key, row.to_vec());
        Ok(())
    }

    /// Rows kept.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none was kept.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Width of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The rows in the order of their keys.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.rows.values().map(Vec::as_slice)
    }
}
