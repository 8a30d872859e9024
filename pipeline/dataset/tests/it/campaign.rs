//! Many workers on a store that misbehaves at random, and what is there in the end.
//!
//! `GLASS_CAMPAIGN_SEED` and `GLASS_CAMPAIGN_ROUNDS` make it another or a longer one;
//! `ci/campaign/store` runs a long one and shows the table.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use glass_dataset::{Dataset, RetryPolicy, Store};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

use crate::chaos::{ChaosStore, Counts};
use crate::support::{batch, identity, incompressible, quarantined, rows, sample};

const SHARDS: u32 = 6;
const ROWS: u32 = 20;
const WORKERS: usize = 3;
/// This shard is large enough to go up in parts.
const LARGE: ShardIndex = ShardIndex(5);

#[derive(Debug, Default)]
struct Toll {
    /// Planned samples that are neither committed nor quarantined.
    lost: u64,
    /// Samples that are there more than once.
    doubled: u64,
    /// Shards whose rows are not those of the undisturbed run, or not those of their digest.
    changed: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sample_is_lost_doubled_or_changed() {
    let seed = number("GLASS_CAMPAIGN_SEED", 1);
    let rounds = number("GLASS_CAMPAIGN_ROUNDS", 20);
    let (mut injected, mut toll, mut seen) = (Counts::new(), Toll::default(), 0);
    for round in 0..rounds {
        let chaos = ChaosStore::new(seed.wrapping_mul(1_000_003).wrapping_add(round));
        seen += run(&chaos).await;
        for (name, count) in chaos.injected() {
            *injected.entry(name).or_default() += count;
        }
        // What was still on its way has arrived by now.
        tokio::time::sleep(Duration::from_millis(20)).await;
        inspect(&chaos.inner, &mut toll).await;
    }
    println!("| fault | injected |\n|---|---|");
    for (name, count) in &injected {
        println!("| {name} | {count} |");
    }
    let all: u64 = injected.values().sum();
    println!("| all, seed {seed}, {rounds} rounds of {SHARDS} shards and {WORKERS} workers | {all} |");
    println!(
        "| **samples lost** | {} |\n| **samples doubled** | {} |\n| **shards changed** | {} |",
        toll.lost, toll.doubled, toll.changed
    );
    println!("| **uncommitted rows seen by readers** | {seen} |");
    assert_eq!((toll.lost, toll.doubled, toll.changed, seen), (0, 0, 0, 0));
    assert!(injected.values().all(|count| *count > 0), "{injected:?}");
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// Fills a dataset with several workers that all do every shard; returns how many rows a reader saw
/// on the way that no commit names.
async fn run(chaos: &ChaosStore) -> u64 {
    let retry = RetryPolicy { attempts: 3, first_wait: Duration::from_micros(200) };
    let store = Store::custom(Arc::new(chaos.clone()), "chaos://", retry);
    let workers = (0..WORKERS).map(|worker| tokio::spawn(work(store.clone(), worker as u32)));
    let reader = tokio::spawn(read_on(Arc::clone(&chaos.inner)));
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    let seen = reader.await.unwrap();
    // One that comes later and finds all done writes the manifest.
    let identity = identity("a", SHARDS);
    let dataset = insist(|| Dataset::create(&store, &identity)).await;
    let manifest = insist(|| dataset.finish()).await;
    assert!(manifest.is_some(), "every shard is committed");
    seen
}

/// Does every shard in an order of its own, and each again until it is there.
async fn work(store: Store, worker: u32) {
    let identity = identity("a", SHARDS);
    let dataset = insist(|| Dataset::create(&store, &identity)).await;
    for step in 0..SHARDS {
        let shard = ShardIndex((step + 2 * worker) % SHARDS);
        insist(|| attempt(&dataset, shard)).await;
    }
}

async fn attempt(dataset: &Dataset, shard: ShardIndex) -> glass_dataset::Result<()> {
    let mut writer = dataset.shard_writer(shard, MaskRow::schema())?;
    for chunk in shard_rows(shard).chunks(4) {
        writer.write(batch(chunk)).await?;
    }
    let written = writer.finish(&[quarantined(&format!("{}.jpg", shard.0))]).await?;
    written.commit().await.map(drop)
}

/// Tries until it works, as a scheduler starts a job again. An error that another try does not
/// change is one of the protocol.
async fn insist<T, F: Future<Output = glass_dataset::Result<T>>>(mut operation: impl FnMut() -> F) -> T {
    for _ in 0..500 {
        match operation().await {
            Ok(value) => return value,
            Err(error) => assert!(!error.is_user_input(), "{error:?}"),
        }
    }
    panic!("five hundred tries did not do");
}

fn shard_rows(shard: ShardIndex) -> Vec<MaskRow> {
    let mut rows = rows(ROWS, shard.0 as f32);
    for row in &mut rows {
        row.sample_id = sample(shard.0 * ROWS + row.classes[0].id);
        if shard == LARGE {
            row.mask.bytes = incompressible(1 << 19, u64::from(row.classes[0].id));
        }
    }
    rows
}

/// Looks at what is committed while it is written: every commit must name a whole object.
async fn read_on(store: Arc<InMemory>) -> u64 {
    let mut wrong = 0;
    for _ in 0..40 {
        for commit in commits(&store).await {
            let data = object(&store, commit["data_key"].as_str().unwrap()).await;
            wrong += u64::from(data.is_none_or(|bytes| digest(&bytes) != commit["digest"]));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    wrong
}

/// An independent look at the plain objects: JSON, SHA-256 and the Parquet library alone.
async fn inspect(store: &InMemory, toll: &mut Toll) {
    let mut times: HashMap<String, u64> = HashMap::new();
    let mut by_shard = BTreeMap::new();
    for commit in commits(store).await {
        by_shard.insert(commit["shard"].as_u64().unwrap(), commit);
    }
    for shard in (0..SHARDS).map(ShardIndex) {
        let expected = shard_rows(shard);
        let Some(commit) = by_shard.get(&u64::from(shard.0)) else {
            toll.lost += u64::from(ROWS) + 1;
            continue;
        };
        let Some(bytes) = object(store, commit["data_key"].as_str().unwrap()).await else {
            toll.lost += u64::from(ROWS);
            continue;
        };
        let same_digest = digest(&bytes) == commit["digest"];
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        let found: Vec<MaskRow> = reader.flat_map(|batch| MaskRow::decode(&batch.unwrap()).unwrap()).collect();
        for row in &found {
            *times.entry(row.sample_id.to_string()).or_default() += 1;
        }
        toll.changed += u64::from(!same_digest || found != expected);
        let failed = object(store, commit["quarantine_key"].as_str().unwrap()).await;
        toll.lost += u64::from(failed.is_none() || commit["quarantined"] != 1);
    }
    for planned in 0..SHARDS * ROWS {
        match times.get(&sample(planned).to_string()) {
            None => toll.lost += 1,
            Some(count) => toll.doubled += count - 1,
        }
    }
}

async fn commits(store: &InMemory) -> Vec<serde_json::Value> {
    let root = identity("a", SHARDS).id.path();
    let mut found = Vec::new();
    for shard in 0..SHARDS {
        let key = Path::from(format!("{root}/commits/{shard:05}.json"));
        if let Ok(answer) = store.get(&key).await {
            found.push(serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap());
        }
    }
    found
}

async fn object(store: &dyn ObjectStore, relative: &str) -> Option<bytes::Bytes> {
    let key = Path::from(format!("{}/{relative}", identity("a", SHARDS).id.path()));
    store.get(&key).await.ok()?.bytes().await.ok()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
