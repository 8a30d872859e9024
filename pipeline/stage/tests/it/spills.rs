//! What a killed or stopped worker put aside is taken up, and nothing else changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use glass_dataset::{Store, StoreOptions};
use glass_schemas::ids::{Digest, ShardIndex};
use glass_schemas::plan::Plan;
use glass_stage::{Context, Ending, ExitStatus, Options, SpillBound, Summary};
use object_store::memory::InMemory;

use crate::mortal::{Last, Mortal};
use crate::process::{code, finish, run, start};
use crate::toy::{Squares, check_complete, datasets, job, numbers, quick, shared, try_datasets};

const BATCH: usize = 4;
const BOUND: u64 = 10;

fn plan() -> Plan {
    Plan::new(110, 60)
}

fn options(samples: u64) -> Options {
    Options { batch_size: BATCH, spill: SpillBound { samples, time: Duration::ZERO }, ..Options::default() }
}

fn counting(made: &Arc<AtomicU64>) -> Squares {
    Squares { made: Arc::clone(made), ..quick() }
}

/// One life of a worker; the number of samples it made is added to `made`.
async fn life(store: &Store, options: Options, made: &Arc<AtomicU64>) -> Option<Summary> {
    let datasets = try_datasets(store, plan().shards()).await.ok()?;
    let job = job(datasets, numbers(plan()), counting(made), options);
    glass_stage::run(job, &Context::detached("toy")).await.ok()
}

/// A life that the store's death ends at once, as a kill would.
async fn short_life(mortal: &Mortal, samples: u64, made: &Arc<AtomicU64>) -> Option<Summary> {
    let store = shared(Arc::new(mortal.clone()));
    tokio::select! {
        ended = life(&store, options(samples), made) => ended,
        () = mortal.death() => None,
    }
}

async fn expected() -> Vec<Digest> {
    let store = shared(Arc::new(InMemory::new()));
    life(&store, options(0), &Arc::default()).await.unwrap();
    check_complete(&store, plan()).await
}

/// Samples in quarantine are no part of what the worker makes when they cannot be read.
fn makeable() -> u64 {
    (0..plan().items()).filter(|number| number % crate::toy::FAILS_EVERY != 3).count() as u64
}

async fn objects(store: &Store, part: &str) -> Vec<String> {
    let mut keys = store.list_keys("").await.unwrap();
    keys.retain(|key| key.contains(part));
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn spills_change_no_byte_and_are_gone_afterwards() {
    let expected = expected().await;
    for samples in [1, 3, 10, 16, 33, 59, 60] {
        let store = shared(Arc::new(InMemory::new()));
        let made = Arc::default();
        let summary = life(&store, options(samples), &made).await.unwrap();
        assert_eq!((summary.ending, summary.restored), (Ending::Complete, 0));
        assert_eq!(check_complete(&store, plan()).await, expected, "a spill after {samples}");
        assert_eq!(objects(&store, "/spills/").await, Vec::<String>::new());
        assert_eq!(made.load(Ordering::SeqCst), makeable());
    }
}

/// A life that ends at its n-th request to the store, for every n, and a second one that finishes.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_request_it_makes_no_more_than_the_bound_again() {
    let expected = expected().await;
    let whole = Mortal::new(Arc::default(), u64::MAX, Last::Arrived);
    life(&shared(Arc::new(whole.clone())), options(BOUND), &Arc::default()).await.unwrap();
    // Up to three shards are under way (two of them being committed), each with its last part open;
    // four batches are on their way from the worker to the spill.
    let bound = 3 * BOUND + 4 * BATCH as u64;
    let (mut restored, mut most) = (0, 0);
    for last in [Last::Arrived, Last::Lost] {
        for dies_at in 1..=whole.requests() {
            let mortal = Mortal::new(Arc::default(), dies_at, last);
            let made: Arc<AtomicU64> = Arc::default();
            short_life(&mortal, BOUND, &made).await;
            let store = shared(mortal.inner);
            let second = life(&store, options(BOUND), &made).await.unwrap();
            assert_eq!(check_complete(&store, plan()).await, expected, "{last:?} {dies_at}");
            assert_eq!(objects(&store, "/spills/").await, Vec::<String>::new(), "{last:?} {dies_at}");
            let again = made.load(Ordering::SeqCst) - makeable();
            assert!(again <= bound, "{again} samples made again, {last:?} {dies_at}");
            restored += second.restored;
            most = most.max(again);
        }
    }
    assert!(restored > 0 && most > 0, "the spills were never needed");
    println!("{} deaths, at most {most} samples made again", 2 * whole.requests());
}

/// Killed again and again within one shard: each life goes on where the one before ended.
#[tokio::test(flavor = "multi_thread")]
async fn many_short_lives_finish_a_shard_together() {
    let expected = expected().await;
    let memory = Arc::new(InMemory::new());
    let made: Arc<AtomicU64> = Arc::default();
    let mut lives = 0;
    loop {
        lives += 1;
        assert!(lives < 100, "no progress");
        // Taking up many spills takes more requests than taking up few.
        let mortal = Mortal::new(Arc::clone(&memory), 20 + 6 * lives, Last::Arrived);
        if short_life(&mortal, 5, &made).await.is_some() {
            break;
        }
    }
    let store = shared(memory);
    life(&store, options(5), &made).await.unwrap();
    assert_eq!(check_complete(&store, plan()).await, expected);
    assert!(lives > 3, "{lives} lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spill_that_is_damaged_or_gone_costs_its_work_only() {
    let expected = expected().await;
    for harm in ["cut", "gone", "record", "alone"] {
        let mortal = Mortal::new(Arc::default(), 24, Last::Arrived);
        short_life(&mortal, BOUND, &Arc::default()).await;
        let store = shared(mortal.inner);
        let spills = objects(&store, "/spills/").await;
        let parquet = spills.iter().find(|key| key.ends_with(".parquet")).unwrap();
        let json = spills.iter().rfind(|key| key.ends_with(".json")).unwrap();
        match harm {
            "cut" => {
                let bytes = store.get(parquet).await.unwrap();
                store.put(parquet, bytes.slice(..bytes.len() / 2)).await.unwrap();
            }
            "gone" => store.delete(parquet).await.unwrap(),
            "record" => store.put(json, "{".into()).await.unwrap(),
            _ => store.delete(json).await.unwrap(),
        }
        let summary = life(&store, Options { backoff: Duration::ZERO, ..options(BOUND) }, &Arc::default()).await;
        assert_eq!(summary.unwrap().ending, Ending::Complete, "{harm}");
        assert_eq!(check_complete(&store, plan()).await, expected, "{harm}");
    }
}

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap()
}

fn signal(child: &std::process::Child, signal: i32) {
    // SAFETY: the child is ours and was not waited for.
    assert_eq!(unsafe { libc::kill(i32::try_from(child.id()).unwrap(), signal) }, 0);
}

#[tokio::test]
async fn a_signal_puts_aside_what_was_made() {
    let flags = ["--shards", "1", "--rows", "300", "--batch-size", "4", "--spill-seconds", "3600"];
    let plan = crate::process::plan_of(1, 300);
    let whole = tempfile::tempdir().unwrap();
    run(whole.path(), &[&flags[..], &["--delay-ms", "0"]].concat());
    let expected = check_complete(&open(&whole), plan).await;
    for name in [libc::SIGTERM, libc::SIGUSR1] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let child = start(folder.path(), &[&flags[..], &["--delay-ms", "20"]].concat());
        while try_datasets(&store, 1).await.is_err() || objects(&store, "SPEC.json").await.len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        signal(&child, name);
        let (status, log) = finish(child);
        assert_eq!(status, code(ExitStatus::Interrupted), "{log}");
        let head = datasets(&store, 1).await.pop().unwrap();
        let spilled = head.spills(ShardIndex(0)).await.unwrap();
        assert_eq!(spilled.len(), 1, "{log}");
        assert!(spilled[0].end >= 4, "{spilled:?}");
        let (status, log) = run(folder.path(), &[&flags[..], &["--delay-ms", "0"]].concat());
        assert_eq!(status, code(ExitStatus::DoneWithQuarantine), "{log}");
        assert!(log.contains(&format!("restored={}", spilled[0].end)), "{log}");
        assert_eq!(check_complete(&store, plan).await, expected);
        assert!(objects(&store, "/spills/").await.is_empty());
    }
}

#[test]
fn a_batch_that_takes_too_long_is_abandoned_and_the_process_leaves_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path(), &["--delay-ms", "60000", "--spill-seconds", "3600"]);
    std::thread::sleep(Duration::from_millis(700));
    let asked = Instant::now();
    signal(&child, libc::SIGTERM);
    let (status, log) = finish(child);
    assert_eq!(status, code(ExitStatus::Interrupted), "{log}");
    assert!(log.contains("abandoned"), "{log}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}
