//! Killed, stopped, doubled: the dataset is always the same in the end.

use std::path::Path;
use std::time::{Duration, Instant};

use glass_dataset::{Dataset, Store, StoreOptions};
use glass_schemas::ids::Digest;
use glass_stage::ExitStatus;

use crate::process::{code, finish, plan_of, run, start, start_in};
use crate::toy::{check_complete, datasets};

const SHARDS: u64 = 12;
const ROWS: u32 = 40;

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap()
}

async fn reference() -> Vec<Digest> {
    let folder = tempfile::tempdir().unwrap();
    let (status, log) = run(folder.path(), &["--delay-ms", "0"]);
    assert_eq!(status, code(ExitStatus::DoneWithQuarantine), "{log}");
    check_complete(&open(&folder), plan_of(SHARDS, ROWS)).await
}

async fn committed(store: &Store) -> usize {
    let datasets: Vec<Dataset> = datasets(store, plan_of(SHARDS, ROWS).shards()).await;
    datasets[1].committed().await.unwrap().len()
}

#[tokio::test]
async fn killed_at_any_moment_it_ends_with_every_sample_once_and_the_same_bytes() {
    let expected = reference().await;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut kills = 0;
    let mut state = 1_u64;
    while kills < 25 {
        let mut child = start(folder.path(), &[]);
        // From before the first write to a few shards later.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(5 + (state >> 33) % 90)).await;
        if child.try_wait().unwrap().is_some() {
            break;
        }
        // SIGKILL
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        // What is visible is sound at any moment.
        for dataset in datasets(&store, plan_of(SHARDS, ROWS).shards()).await {
            for shard in dataset.committed().await.unwrap() {
                dataset.verify_shard(shard).await.unwrap();
            }
        }
        if committed(&store).await == SHARDS as usize {
            break;
        }
    }
    let (status, log) = run(folder.path(), &[]);
    assert!([Some(0), Some(3)].contains(&status), "{log}");
    assert_eq!(check_complete(&store, plan_of(SHARDS, ROWS)).await, expected);
    println!("{kills} kills");
}

#[tokio::test]
async fn a_signal_stops_it_with_75_and_a_second_run_completes() {
    let expected = reference().await;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        let child = start(folder.path(), &["--delay-ms", "20"]);
        while committed(&store).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // SAFETY: the child is ours and was not waited for.
        assert_eq!(unsafe { libc::kill(i32::try_from(child.id()).unwrap(), signal) }, 0);
        let (status, log) = finish(child);
        assert_eq!(status, code(ExitStatus::Interrupted), "{log}");
        assert!(log.contains("run the same command again"), "{log}");
        let before = committed(&store).await;
        assert!(before < SHARDS as usize);
        // An orderly stop leaves no object that no commit names.
        let keys = store.list_keys("").await.unwrap();
        let count = |part: &str| keys.iter().filter(|key| key.contains(part)).count();
        assert_eq!(count("/data/"), count("/commits/"), "{keys:?}");
        let (status, log) = run(folder.path(), &["--delay-ms", "0"]);
        assert_eq!(status, code(ExitStatus::DoneWithQuarantine), "{log}");
        assert_eq!(check_complete(&store, plan_of(SHARDS, ROWS)).await, expected);
    }
}

#[test]
fn it_leaves_in_time_when_the_store_does_not_even_answer_at_first() {
    // Takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    let child = start_in(&environment, Path::new("s3://bucket"), &[]);
    drop(silent.accept().map(std::mem::forget));
    let asked = Instant::now();
    // SAFETY: the child is ours and was not waited for.
    assert_eq!(unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM) }, 0);
    let (status, log) = finish(child);
    assert_eq!(status, code(ExitStatus::Interrupted), "{log}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{log}");
    assert!(log.contains("run the same command again"), "{log}");
}

#[tokio::test]
async fn running_a_complete_dataset_again_does_no_work() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["--delay-ms", "0"]);
    let store = open(&folder);
    let before = store.list_keys("").await.unwrap();
    let (status, log) = run(folder.path(), &["--no-weights"]);
    assert_eq!(status, code(ExitStatus::Done), "{log}");
    assert!(log.contains("nothing to do"), "{log}");
    assert_eq!(store.list_keys("").await.unwrap(), before);
}

#[tokio::test]
async fn batch_size_and_workers_do_not_change_a_byte() {
    let expected = reference().await;
    for batch_size in ["1", "3", "64"] {
        let folder = tempfile::tempdir().unwrap();
        let flags = ["--delay-ms", "0", "--batch-size", batch_size, "--count", "3", "--index"];
        for index in ["2", "0", "1"] {
            let (status, log) = run(folder.path(), &[flags.as_slice(), &[index]].concat());
            assert_eq!(status, code(ExitStatus::DoneWithQuarantine), "{log}");
        }
        assert_eq!(check_complete(&open(&folder), plan_of(SHARDS, ROWS)).await, expected);
    }
}

#[tokio::test]
async fn doubled_workers_and_stragglers_commit_each_shard_once() {
    let expected = reference().await;
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = [("0", "2"), ("0", "2"), ("1", "2"), ("0", "1")]
        .into_iter()
        .map(|(index, count)| start(folder.path(), &["--stragglers", "--index", index, "--count", count]))
        .collect();
    for child in children {
        let (status, log) = finish(child);
        assert!([Some(0), Some(3)].contains(&status), "{log}");
    }
    let store = open(&folder);
    assert_eq!(check_complete(&store, plan_of(SHARDS, ROWS)).await, expected);
    let keys = store.list_keys("").await.unwrap();
    let data = keys.iter().filter(|key| key.contains("/data/")).count();
    assert_eq!(data, 2 * SHARDS as usize, "losers drop their objects");
}
