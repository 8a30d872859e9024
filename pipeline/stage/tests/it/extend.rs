//! More rows of the same: what an earlier dataset has is adopted, and only the rest is made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use glass_dataset::Store;
use glass_schemas::ids::ShardIndex;
use glass_schemas::plan::Plan;
use glass_stage::{Common, Context, Earlier, Ending, Failed, Options, Pass, Summary};
use object_store::memory::InMemory;

use crate::mortal::{Last, Mortal};
use crate::toy::{FAILS_EVERY, Numbers, Squares, check_complete, datasets, job, numbers, quick, shared};

const ROWS: u32 = 40;

fn small() -> Plan {
    Plan::new(90, ROWS)
}

fn large() -> Plan {
    Plan::new(210, ROWS)
}

fn memory() -> Store {
    shared(Arc::new(InMemory::new()))
}

fn makeable(from: u64, to: u64) -> u64 {
    (from..to).filter(|number| number % FAILS_EVERY != 3).count() as u64
}

async fn make(store: &Store, plan: Plan, of: &[Plan], made: &Arc<AtomicU64>) -> Summary {
    let mut earlier = Vec::new();
    for plan in of {
        let datasets = datasets(store, plan.shards()).await;
        earlier.push(Earlier { datasets, common: Common::First(*plan) });
    }
    let worker = Squares { made: Arc::clone(made), ..quick() };
    let datasets = datasets(store, plan.shards()).await;
    let mut job = job(datasets, numbers(plan), worker, Options::default());
    job.earlier = earlier;
    glass_stage::run(job, &Context::detached("toy")).await.unwrap()
}

/// Every object and its bytes.
async fn contents(store: &Store) -> BTreeMap<String, bytes::Bytes> {
    let mut found = BTreeMap::new();
    for key in store.list_keys("").await.unwrap() {
        let bytes = store.get(&key).await.unwrap();
        found.insert(key, bytes);
    }
    found
}

async fn from_nothing(plan: Plan) -> Vec<glass_schemas::ids::Digest> {
    let store = memory();
    make(&store, plan, &[], &Arc::default()).await;
    check_complete(&store, plan).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grown_source_makes_its_new_samples_and_no_other() {
    let expected = from_nothing(large()).await;
    let store = memory();
    let made = Arc::default();
    make(&store, small(), &[], &made).await;
    let before = contents(&store).await;
    let summary = make(&store, large(), &[small()], &made).await;
    assert_eq!((summary.ending, summary.shards_adopted), (Ending::Complete, 2));
    assert_eq!(summary.restored, 10, "the last shard was not full");
    assert_eq!(made.load(Ordering::SeqCst), makeable(0, 210));
    assert_eq!(check_complete(&store, large()).await, expected);
    let after = contents(&store).await;
    assert!(before.iter().all(|(key, bytes)| after.get(key) == Some(bytes)), "the earlier dataset changed");
    for dataset in datasets(&store, large().shards()).await {
        let prefix = dataset.id().path();
        let own = after.keys().filter(|key| key.starts_with(&prefix) && key.contains("/data/")).count();
        assert_eq!(own, 4, "two of six shards lie in the earlier dataset");
    }
    // And once more, of both: shards that were adopted are adopted on.
    let largest = Plan::new(250, ROWS);
    make(&store, largest, &[large(), small()], &made).await;
    assert_eq!(made.load(Ordering::SeqCst), makeable(0, 250));
    assert_eq!(check_complete(&store, largest).await, from_nothing(largest).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn less_of_a_source_takes_whole_shards_of_what_is_there() {
    let store = memory();
    make(&store, large(), &[], &Arc::default()).await;
    let made = Arc::default();
    let summary = make(&store, small(), &[large()], &made).await;
    assert_eq!(summary.shards_adopted, 2);
    assert_eq!(made.load(Ordering::SeqCst), makeable(80, 90));
    assert_eq!(check_complete(&store, small()).await, from_nothing(small()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_retried_is_adopted_with_its_shard() {
    let store = memory();
    make(&store, small(), &[], &Arc::default()).await;
    let again = Options { pass: Pass::Again(Failed::Where(Vec::new())), ..Options::default() };
    let source = Numbers { mended: true, ..numbers(small()) };
    let worker = Squares { mended: true, ..quick() };
    let retried = job(datasets(&store, small().shards()).await, source, worker, again);
    glass_stage::run(retried, &Context::detached("toy")).await.unwrap();
    make(&store, large(), &[small()], &Arc::default()).await;
    for dataset in datasets(&store, large().shards()).await {
        for shard in [0, 1].map(ShardIndex) {
            let parts = dataset.parts(shard).await.unwrap();
            assert_eq!(parts.len(), 2);
            assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), u64::from(ROWS));
            assert_eq!(dataset.quarantine(shard).await.unwrap(), []);
            dataset.verify_shard(shard).await.unwrap();
        }
    }
}

/// A process that dies at any request of an adoption leaves what the next one finishes.
#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_may_be_cut_off_anywhere() {
    let expected = from_nothing(large()).await;
    let inner: Arc<InMemory> = Arc::default();
    make(&shared(Arc::clone(&inner) as _), small(), &[], &Arc::default()).await;
    let base = contents(&shared(inner)).await;
    for dies_at in (12..70).step_by(3) {
        let mortal = Mortal::new(Arc::default(), dies_at, Last::Arrived);
        let store = shared(Arc::clone(&mortal.inner) as _);
        for (key, bytes) in &base {
            store.put(key, bytes.clone()).await.unwrap();
        }
        let (made, of) = (Arc::default(), [small()]);
        let dying = shared(Arc::new(mortal.clone()));
        tokio::select! {
            _ = make(&dying, large(), &of, &made) => {}
            () = mortal.death() => {}
        }
        let made = Arc::default();
        make(&store, large(), &[small()], &made).await;
        assert!(made.load(Ordering::SeqCst) <= makeable(90, 210), "{dies_at}");
        assert_eq!(check_complete(&store, large()).await, expected, "{dies_at}");
    }
}
