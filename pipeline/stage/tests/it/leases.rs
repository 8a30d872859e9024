//! Leases spare work; nothing depends on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use glass_dataset::{Claim, Lease, Store};
use glass_schemas::ids::ShardIndex;
use glass_schemas::plan::Plan;
use glass_stage::{Context, Options, Stragglers, WorkerSlot};
use object_store::memory::InMemory;

use crate::toy::{FAILS_EVERY, Squares, check_complete, datasets, job, numbers, quick, shared};

fn plan() -> Plan {
    Plan::new(120, 20)
}

fn makeable() -> u64 {
    (0..plan().items()).filter(|number| number % FAILS_EVERY != 3).count() as u64
}

async fn worker(store: &Store, index: u32, delay: Duration, lease: Duration, made: &Arc<AtomicU64>) {
    let options = Options {
        slot: WorkerSlot { index, count: 3 },
        stragglers: Stragglers::Take,
        batch_size: 5,
        lease,
        ..Options::default()
    };
    let worker = Squares { made: Arc::clone(made), delay, ..quick() };
    let job = job(datasets(store, plan().shards()).await, numbers(plan()), worker, options);
    glass_stage::run(job, &Context::detached("toy")).await.unwrap();
}

async fn left(store: &Store) -> usize {
    let keys = store.list_keys("").await.unwrap();
    keys.iter().filter(|key| key.contains("/leases/")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_take_each_others_shards_make_no_sample_twice() {
    let store = shared(Arc::new(InMemory::new()));
    let made = Arc::default();
    let lease = Duration::from_secs(60);
    // One is four times as slow as the others, which help it out.
    let delays = [5, 5, 20].map(Duration::from_millis);
    tokio::join!(
        worker(&store, 0, delays[0], lease, &made),
        worker(&store, 1, delays[1], lease, &made),
        worker(&store, 2, delays[2], lease, &made),
    );
    check_complete(&store, plan()).await;
    assert_eq!(made.load(Ordering::SeqCst), makeable());
    assert_eq!(left(&store).await, 0);
}

/// A worker that died, or that hangs: nobody renews its lease. Its clock does not matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_nobody_renews_is_taken_over_after_its_time() {
    let store = shared(Arc::new(InMemory::new()));
    let head = datasets(&store, plan().shards()).await.pop().unwrap();
    // An attempt whose clock is an hour ahead.
    let dead = Lease { worker: "9 of 10".to_owned(), attempt: "ffffffff-0".to_owned(), beat: 7 };
    assert_eq!(head.claim(ShardIndex(1), &dead).await.unwrap(), Claim::New);
    let started = Instant::now();
    let made = Arc::default();
    worker(&store, 0, Duration::ZERO, Duration::from_millis(400), &made).await;
    assert!(started.elapsed() >= Duration::from_millis(400));
    check_complete(&store, plan()).await;
    assert_eq!(made.load(Ordering::SeqCst), makeable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_started_again_does_not_wait_for_itself() {
    let store = shared(Arc::new(InMemory::new()));
    let head = datasets(&store, plan().shards()).await.pop().unwrap();
    let before = Lease { worker: "0 of 3".to_owned(), attempt: "0-0".to_owned(), beat: 7 };
    head.claim(ShardIndex(0), &before).await.unwrap();
    let started = Instant::now();
    worker(&store, 0, Duration::ZERO, Duration::from_secs(60), &Arc::default()).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    check_complete(&store, plan()).await;
}

/// Leases that vanish, or that cannot be read, cost duplicate work at most.
#[tokio::test(flavor = "multi_thread")]
async fn leases_that_are_lost_change_no_row() {
    let store = shared(Arc::new(InMemory::new()));
    datasets(&store, plan().shards()).await;
    let made = Arc::default();
    let lease = Duration::from_secs(60);
    let delay = Duration::from_millis(4);
    let vandal = async {
        for round in 0..40 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            for key in store.list_keys("").await.unwrap() {
                if key.contains("/leases/") && round % 2 == 0 {
                    store.delete(&key).await.unwrap();
                } else if key.contains("/leases/") {
                    store.put(&key, "no lease".into()).await.unwrap();
                }
            }
        }
    };
    tokio::join!(
        worker(&store, 0, delay, lease, &made),
        worker(&store, 1, delay, lease, &made),
        worker(&store, 2, delay, lease, &made),
        vandal,
    );
    check_complete(&store, plan()).await;
    assert!(made.load(Ordering::SeqCst) >= makeable());
}
