//! A small dataset to write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use glass_dataset::{Dataset, RetryPolicy, Store, StoreOptions};
use glass_schemas::dataset::{ClassLabel, EncodedImage, MaskRow, QuarantineRow, Row};
use glass_schemas::ids::{DatasetKind, Digest, SampleId};
use glass_schemas::manifest::{Identity, IdentityParts};
use object_store::memory::InMemory;

/// Tries quickly, so that tests with many failures take no time.
pub const RETRY: RetryPolicy = RetryPolicy { attempts: 4, first_wait: Duration::from_micros(100) };

pub fn memory() -> Store {
    Store::custom(Arc::new(InMemory::new()), "memory://", RETRY)
}

pub fn local(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap()
}

/// `name` makes the identity, and so the dataset's id, different.
pub fn identity(name: &str, shards: u32) -> Identity {
    Identity::new(IdentityParts {
        kind: DatasetKind::Masks,
        stage: "test".to_owned(),
        run_seed: 7,
        spec: serde_json::json!({ "name": name }),
        upstream: Vec::new(),
        weights: BTreeMap::new(),
        shards,
    })
}

pub async fn dataset(store: &Store, shards: u32) -> Dataset {
    Dataset::create(store, &identity("a", shards)).await.unwrap()
}

pub fn sample(number: u32) -> SampleId {
    SampleId::of_source(&Digest::of(&number.to_le_bytes()))
}

/// Rows whose bytes depend on `flavour`, as those of another machine might.
pub fn rows(count: u32, flavour: f32) -> Vec<MaskRow> {
    let row = |number: u32| MaskRow {
        sample_id: sample(number),
        classes: vec![ClassLabel { id: number, name: format!("class {number}") }],
        mask: EncodedImage { bytes: number.to_le_bytes().repeat(64), path: format!("{number}.png") },
        width: 8,
        height: 8,
        extractor: "test".to_owned(),
        quality: Vec::new(),
        agreement: number as f32 + flavour,
    };
    (0..count).map(row).collect()
}

pub fn batch(rows: &[MaskRow]) -> RecordBatch {
    MaskRow::encode(rows).unwrap()
}

pub fn quarantined(item: &str) -> QuarantineRow {
    QuarantineRow {
        stage: "test".to_owned(),
        shard: 0,
        item: item.to_owned(),
        sample_id: None,
        error_class: "unreadable".to_owned(),
        attempt: 1,
        message: "it is a text file".to_owned(),
        inputs: String::new(),
    }
}

pub async fn keys(store: &Store) -> Vec<String> {
    let mut keys = store.list_keys("").await.unwrap();
    keys.sort();
    keys
}

/// Bytes that do not shrink (SplitMix64).
pub fn incompressible(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some((mixed ^ (mixed >> 31)).to_le_bytes())
    };
    std::iter::from_fn(next).flatten().take(length).collect()
}
