//! Garbage collection by a machine whose clock is wrong: the store's decides.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use futures::stream::{BoxStream, StreamExt};
use glass_dataset::gc::{self, Clock, Kind, Removed};
use glass_dataset::{Attempt, Dataset, Lease, Store, WrittenShard};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use crate::support::{RETRY, batch, dataset, keys, quarantined, rows};

const HOUR: Duration = Duration::from_secs(3600);
/// Twice the grace period that the tests give, and half a day.
const AGE: TimeDelta = TimeDelta::hours(12);

/// A store whose clock differs from this machine's, with some objects older than they are.
#[derive(Clone, Debug)]
struct Elsewhere {
    inner: Arc<InMemory>,
    /// What its clock is ahead of this machine's.
    ahead: TimeDelta,
    old: Arc<Mutex<HashSet<Path>>>,
}

impl Elsewhere {
    fn new(ahead: TimeDelta) -> Self {
        Self { inner: Arc::default(), ahead, old: Arc::default() }
    }

    fn dated(&self, mut meta: ObjectMeta) -> ObjectMeta {
        meta.last_modified += self.ahead;
        if self.old.lock().unwrap().contains(&meta.location) {
            meta.last_modified -= AGE;
        }
        meta
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("elsewhere")
    }
}

#[async_trait]
impl ObjectStore for Elsewhere {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.inner.get_opts(path, options).await?;
        found.meta = self.dated(found.meta);
        Ok(found)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        self.inner.list(prefix).map(move |meta| Ok(this.dated(meta?))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A dataset with a committed shard, what dead attempts left half a day ago, and what is under way now.
struct Scene {
    store: Store,
    dataset: Dataset,
    /// Old and nobody's: two attempts' rows and quarantine, a spill that is spent, a lease.
    dead: HashSet<String>,
    /// An attempt between its data and its commit.
    alive: WrittenShard,
}

impl Scene {
    async fn new(ahead: TimeDelta) -> Self {
        let elsewhere = Elsewhere::new(ahead);
        let store = Store::custom(Arc::new(elsewhere.clone()), "elsewhere://", RETRY);
        let dataset = dataset(&store, 4).await;
        let shard = |number| ShardIndex(number);
        let whole = vec![batch(&rows(3, 0.0))];
        dataset.write_shard(shard(0), MaskRow::schema(), whole, &[]).await.unwrap();
        let committed: HashSet<_> = keys(&store).await.into_iter().collect();
        for number in [0, 1] {
            drop(written(&dataset, number).await);
        }
        spill(&dataset, 0).await;
        dataset.claim(shard(1), &lease("dead")).await.unwrap();
        let there: HashSet<_> = keys(&store).await.into_iter().collect();
        let dead: HashSet<_> = there.difference(&committed).cloned().collect();
        elsewhere.old.lock().unwrap().extend(there.iter().map(|key| Path::from(key.as_str())));

        let alive = written(&dataset, 2).await;
        spill(&dataset, 0).await;
        spill(&dataset, 3).await;
        dataset.claim(shard(3), &lease("alive")).await.unwrap();
        Self { store, dataset, dead, alive }
    }

    async fn rubbish(&self, clock: Clock) -> HashSet<String> {
        let found = gc::find(&self.dataset, 6 * HOUR, clock).await.unwrap();
        found.into_iter().map(|rubbish| rubbish.key).collect()
    }
}

async fn written(dataset: &Dataset, shard: u32) -> WrittenShard {
    let mut writer = dataset.shard_writer(ShardIndex(shard), MaskRow::schema()).unwrap();
    writer.write(batch(&rows(2, 1.0))).await.unwrap();
    writer.finish(&[quarantined("x.jpg")]).await.unwrap()
}

async fn spill(dataset: &Dataset, shard: u32) {
    let mut writer = dataset.spill_writer(ShardIndex(shard), 0, &Attempt::new(), MaskRow::schema()).unwrap();
    writer.write(batch(&rows(1, 1.0))).await.unwrap();
    writer.finish(1, Vec::new()).await.unwrap();
}

fn lease(worker: &str) -> Lease {
    Lease { worker: worker.to_owned(), attempt: "0".to_owned(), beat: 0 }
}

#[tokio::test]
async fn a_clock_that_is_a_day_wrong_removes_what_is_dead_and_nothing_else() {
    for ahead in [TimeDelta::days(-1), TimeDelta::zero(), TimeDelta::days(1)] {
        let scene = Scene::new(ahead).await;
        let before: HashSet<_> = keys(&scene.store).await.into_iter().collect();
        let found = gc::find(&scene.dataset, 6 * HOUR, Clock::Store).await.unwrap();
        let kinds: HashSet<_> = found.iter().map(|rubbish| rubbish.kind.as_str()).collect();
        let expected = [Kind::LostAttempt, Kind::UncommittedAttempt, Kind::Spill, Kind::Lease].map(Kind::as_str);
        assert_eq!(kinds, expected.into(), "{ahead}");
        for rubbish in &found {
            assert_eq!(gc::remove(&scene.store, rubbish).await.unwrap(), Removed::Gone);
        }
        let after: HashSet<_> = keys(&scene.store).await.into_iter().collect();
        let gone: HashSet<_> = before.difference(&after).cloned().collect();
        assert_eq!(gone, scene.dead, "{ahead}");
        // What was under way goes on.
        scene.alive.commit().await.unwrap();
        for shard in [0, 2] {
            scene.dataset.verify_shard(ShardIndex(shard)).await.unwrap();
        }
        assert_eq!(scene.dataset.spills(ShardIndex(3)).await.unwrap().len(), 1);
    }
}

/// What would happen by this machine's clock, so that the test above says something.
#[tokio::test]
async fn by_its_own_clock_a_machine_would_be_wrong() {
    let ahead_of_the_store = Scene::new(TimeDelta::days(-1)).await;
    let called = ahead_of_the_store.rubbish(Clock::Here).await;
    assert!(called.is_superset(&ahead_of_the_store.dead) && called.len() > ahead_of_the_store.dead.len());
    let behind = Scene::new(TimeDelta::days(1)).await;
    assert!(behind.rubbish(Clock::Here).await.is_empty() && !behind.dead.is_empty());
}
