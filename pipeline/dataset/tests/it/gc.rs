//! What garbage collection may call rubbish.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use glass_dataset::gc::{self, Clock, Kind, Removed};
use glass_dataset::{Attempt, Dataset, Lease, Store};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;

use crate::support::{batch, dataset, keys, local, quarantined, rows};

const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    dataset: Dataset,
}

impl Bench {
    /// Shard 0 committed with a quarantine, shards 1 and 2 not.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = local(&folder);
        let dataset = dataset(&store, 3).await;
        let batches = vec![batch(&rows(3, 0.0))];
        let failed = [quarantined("x.jpg")];
        dataset.write_shard(ShardIndex(0), MaskRow::schema(), batches, &failed).await.unwrap();
        Self { folder, store, dataset }
    }

    /// The objects of an attempt that died before its commit.
    async fn dead_attempt(&self, shard: u32) {
        let mut writer = self.dataset.shard_writer(ShardIndex(shard), MaskRow::schema()).unwrap();
        writer.write(batch(&rows(2, 1.0))).await.unwrap();
        drop(writer.finish(&[quarantined("y.jpg")]).await.unwrap());
    }

    fn age(&self, hours: u32) {
        let time = SystemTime::now() - HOUR * hours;
        for file in files(self.folder.path()) {
            std::fs::File::open(file).unwrap().set_modified(time).unwrap();
        }
    }

    async fn kinds(&self, grace: Duration) -> Vec<Kind> {
        let found = gc::find(&self.dataset, grace, Clock::Here).await.unwrap();
        found.iter().map(|rubbish| rubbish.kind).collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn what_dead_attempts_left_goes_and_what_is_committed_stays() {
    let bench = Bench::new().await;
    let committed = keys(&bench.store).await;
    bench.dead_attempt(0).await;
    bench.dead_attempt(1).await;
    let torn = bench.folder.path().join(bench.dataset.id().path()).join("data/00002-1.parquet#1");
    std::fs::write(&torn, "half").unwrap();
    bench.age(30);
    let rubbish = gc::find(&bench.dataset, 24 * HOUR, Clock::Here).await.unwrap();
    let count = |kind| rubbish.iter().filter(|found| found.kind == kind).count();
    assert_eq!(count(Kind::LostAttempt), 2, "{rubbish:?}");
    assert_eq!(count(Kind::UncommittedAttempt), 2);
    assert_eq!(count(Kind::UnfinishedFile), 1);
    for found in &rubbish {
        assert_eq!(gc::remove(&bench.store, found).await.unwrap(), Removed::Gone);
    }
    assert_eq!(keys(&bench.store).await, committed);
    assert!(!torn.exists());
    bench.dataset.verify_shard(ShardIndex(0)).await.unwrap();
}

/// Spills of a shard that is committed are spent, and those without a record were never finished; a
/// whole one of a shard that is not committed is somebody's progress, however old.
#[tokio::test]
async fn only_spills_that_nobody_can_take_up_go() {
    let bench = Bench::new().await;
    for (shard, start) in [(0, 0), (1, 0), (1, 2)] {
        let attempt = Attempt::new();
        let schema = MaskRow::schema();
        let mut writer = bench.dataset.spill_writer(ShardIndex(shard), start, &attempt, schema).unwrap();
        writer.write(batch(&rows(2, 1.0))).await.unwrap();
        let spill = writer.finish(start + 2, Vec::new()).await.unwrap();
        if start == 2 {
            bench.dataset.forget_spill(&spill).await.unwrap();
        }
    }
    let lease = Lease { worker: "dead".to_owned(), attempt: "0".to_owned(), beat: 0 };
    bench.dataset.claim(ShardIndex(2), &lease).await.unwrap();
    assert!(bench.kinds(HOUR).await.is_empty(), "they are young");
    bench.age(30);
    let rubbish = gc::find(&bench.dataset, HOUR, Clock::Here).await.unwrap();
    let count = |kind| rubbish.iter().filter(|found| found.kind == kind).count();
    assert_eq!((count(Kind::Spill), count(Kind::Lease), rubbish.len()), (3, 1, 4), "{rubbish:?}");
    for found in &rubbish {
        assert_eq!(gc::remove(&bench.store, found).await.unwrap(), Removed::Gone);
    }
    let left = bench.dataset.spills(ShardIndex(1)).await.unwrap();
    assert_eq!(left.iter().map(|spill| (spill.start, spill.end)).collect::<Vec<_>>(), [(0, 2)]);
    assert!(bench.dataset.spills(ShardIndex(0)).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_younger_than_the_grace_period_stays() {
    let bench = Bench::new().await;
    bench.dead_attempt(1).await;
    bench.age(5);
    assert!(bench.kinds(6 * HOUR).await.is_empty());
    assert_eq!(bench.kinds(4 * HOUR).await.len(), 2);
}

#[tokio::test]
async fn no_grace_period_is_shorter_than_an_hour() {
    let bench = Bench::new().await;
    bench.dead_attempt(1).await;
    assert!(bench.kinds(Duration::ZERO).await.is_empty());
}

#[tokio::test]
async fn an_attempt_that_commits_between_the_look_and_the_removal_keeps_its_objects() {
    let bench = Bench::new().await;
    let mut writer = bench.dataset.shard_writer(ShardIndex(1), MaskRow::schema()).unwrap();
    writer.write(batch(&rows(2, 1.0))).await.unwrap();
    let late = writer.finish(&[]).await.unwrap();
    bench.age(30);
    let rubbish = gc::find(&bench.dataset, 24 * HOUR, Clock::Here).await.unwrap();
    assert_eq!(rubbish.len(), 1);
    late.commit().await.unwrap();
    assert_eq!(gc::remove(&bench.store, &rubbish[0]).await.unwrap(), Removed::Kept);
    bench.dataset.verify_shard(ShardIndex(1)).await.unwrap();
}

#[tokio::test]
async fn strangers_are_not_ours_to_remove() {
    let bench = Bench::new().await;
    for name in ["data/notes.txt", "data/README.parquet", "data/00001-mine.parquet", "x/00001-1.parquet"] {
        let key = format!("{}/{name}", bench.dataset.id().path());
        bench.store.put(&key, Bytes::from_static(b"x")).await.unwrap();
    }
    bench.age(1000);
    assert!(bench.kinds(HOUR).await.is_empty());
}

#[tokio::test]
async fn a_commit_that_cannot_be_read_makes_nothing_rubbish() {
    let bench = Bench::new().await;
    bench.dead_attempt(1).await;
    let commit = format!("{}/commits/00000.json", bench.dataset.id().path());
    bench.store.put(&commit, Bytes::from_static(b"{")).await.unwrap();
    bench.age(30);
    assert!(gc::find(&bench.dataset, HOUR, Clock::Here).await.is_err());
}
