//! The commit protocol, one misbehaviour at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use glass_dataset::{Dataset, DatasetError, Outcome, Store, WrittenShard};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;

use crate::faulty::{CreateFault, FaultyStore};
use crate::support::{RETRY, batch, dataset, incompressible, keys, quarantined, rows};

const SHARD: ShardIndex = ShardIndex(0);

struct Bench {
    faulty: FaultyStore,
    store: Store,
    dataset: Dataset,
}

impl Bench {
    async fn new() -> Self {
        let faulty = FaultyStore::default();
        let store = Store::custom(Arc::new(faulty.clone()), "faulty://", RETRY);
        let dataset = dataset(&store, 1).await;
        Self { faulty, store, dataset }
    }

    fn next_create(&self, faults: &[CreateFault]) {
        self.faulty.faults.lock().unwrap().creates.extend(faults.iter().cloned());
    }

    async fn written(&self, flavour: f32) -> WrittenShard {
        let mut writer = self.dataset.shard_writer(SHARD, MaskRow::schema()).unwrap();
        writer.write(batch(&rows(3, flavour))).await.unwrap();
        writer.finish(&[quarantined("x.jpg")]).await.unwrap()
    }

    /// The record another attempt would create.
    async fn rival(&self, flavour: f32) -> Bytes {
        let written = self.written(flavour).await;
        serde_json::to_vec(written.record()).unwrap().into()
    }

    /// Rows that readers see, after checking that exactly one data object and one quarantine
    /// object of the committed attempt are named.
    async fn visible(&self) -> Vec<f32> {
        let batches = self.dataset.read_shard(SHARD, glass_dataset::Columns::All).await.unwrap();
        let rows = batches.iter().flat_map(|batch| MaskRow::decode(batch).unwrap());
        rows.map(|row| row.agreement).collect()
    }

    async fn data_objects(&self) -> usize {
        keys(&self.store).await.iter().filter(|key| key.contains("/data/")).count()
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_write_is_a_commit() {
    let bench = Bench::new().await;
    let shard = bench.written(0.0).await;
    bench.next_create(&[CreateFault::AnswerLost]);
    assert_eq!(shard.commit().await.unwrap(), Outcome::Committed);
    assert_eq!(bench.visible().await.len(), 3);
}

#[tokio::test]
async fn meeting_our_own_record_is_a_commit() {
    let bench = Bench::new().await;
    let shard = bench.written(0.0).await;
    bench.next_create(&[CreateFault::OwnObjectMet]);
    assert_eq!(shard.commit().await.unwrap(), Outcome::Committed);
    assert_eq!(bench.data_objects().await, 1);
}

#[tokio::test]
async fn unavailable_and_conflict_are_tried_again() {
    let bench = Bench::new().await;
    let shard = bench.written(0.0).await;
    bench.next_create(&[CreateFault::Unavailable, CreateFault::Conflict, CreateFault::Unavailable]);
    assert_eq!(shard.commit().await.unwrap(), Outcome::Committed);
    assert_eq!(bench.visible().await.len(), 3);
}

#[tokio::test]
async fn a_rival_with_the_same_bytes_is_success_and_our_copy_goes() {
    let bench = Bench::new().await;
    let rival = bench.rival(0.0).await;
    let shard = bench.written(0.0).await;
    assert_eq!(bench.data_objects().await, 2);
    bench.next_create(&[CreateFault::Rival(rival)]);
    assert_eq!(shard.commit().await.unwrap(), Outcome::AlreadySame);
    assert_eq!(bench.data_objects().await, 1);
    assert_eq!(bench.visible().await, [0.0, 1.0, 2.0]);
    assert_eq!(bench.dataset.quarantine(SHARD).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_rival_with_other_bytes_wins_and_our_copy_goes() {
    let bench = Bench::new().await;
    let rival = bench.rival(0.5).await;
    let shard = bench.written(0.0).await;
    bench.next_create(&[CreateFault::Rival(rival)]);
    assert_eq!(shard.commit().await.unwrap(), Outcome::Lost);
    assert_eq!(bench.data_objects().await, 1);
    assert_eq!(bench.visible().await, [0.5, 1.5, 2.5]);
}

#[tokio::test]
async fn a_rival_behind_a_lost_answer_is_found_by_reading_back() {
    let bench = Bench::new().await;
    let rival = bench.rival(0.5).await;
    let shard = bench.written(0.0).await;
    bench.next_create(&[CreateFault::RivalAndAnswerLost(rival)]);
    assert_eq!(shard.commit().await.unwrap(), Outcome::Lost);
    assert_eq!(bench.visible().await, [0.5, 1.5, 2.5]);
}

#[tokio::test]
async fn a_store_that_stays_away_leaves_everything_in_place() {
    let bench = Bench::new().await;
    let shard = bench.written(0.0).await;
    bench.next_create(&vec![CreateFault::Unavailable; 50]);
    let error = shard.commit().await.unwrap_err();
    assert!(matches!(error, DatasetError::Unsettled { .. }), "{error}");
    assert!(error.is_transient());
    // A create that was still on its way may land now: its data must be there.
    assert_eq!(bench.data_objects().await, 1);
    bench.faulty.faults.lock().unwrap().creates.clear();
    assert_eq!(shard.commit().await.unwrap(), Outcome::Committed);
    assert_eq!(bench.visible().await.len(), 3);
}

#[tokio::test]
async fn a_lost_answer_with_failing_reads_is_settled_in_the_end() {
    let bench = Bench::new().await;
    let shard = bench.written(0.0).await;
    bench.next_create(&[CreateFault::AnswerLost]);
    bench.faulty.faults.lock().unwrap().reads = 6;
    assert_eq!(shard.commit().await.unwrap(), Outcome::Committed);
    assert_eq!(bench.visible().await.len(), 3);
}

#[tokio::test]
async fn failing_puts_of_data_are_tried_again() {
    let bench = Bench::new().await;
    bench.faulty.faults.lock().unwrap().puts = 2;
    let shard = bench.written(0.0).await;
    assert_eq!(shard.commit().await.unwrap(), Outcome::Committed);
}

#[tokio::test]
async fn a_failing_multipart_upload_is_aborted() {
    let bench = Bench::new().await;
    bench.faulty.faults.lock().unwrap().parts = true;
    let mut big = rows(40, 0.0);
    for (number, row) in big.iter_mut().enumerate() {
        row.mask.bytes = incompressible(1 << 20, number as u64);
    }
    let mut writer = bench.dataset.shard_writer(SHARD, MaskRow::schema()).unwrap();
    let mut result = Ok(());
    for chunk in big.chunks(8) {
        result = writer.write(batch(chunk)).await;
        if result.is_err() {
            break;
        }
    }
    let error = match result {
        Ok(()) => writer.finish(&[]).await.err().unwrap(),
        Err(error) => error,
    };
    assert!(error.is_transient(), "{error}");
    assert_eq!(bench.faulty.faults.lock().unwrap().aborted, 1);
    assert_eq!(bench.data_objects().await, 0);
}

#[tokio::test]
async fn a_large_shard_goes_up_in_parts_and_reads_back() {
    let bench = Bench::new().await;
    let mut big = rows(30, 0.0);
    for (number, row) in big.iter_mut().enumerate() {
        row.mask.bytes = incompressible(1 << 20, number as u64);
    }
    let mut writer = bench.dataset.shard_writer(SHARD, MaskRow::schema()).unwrap();
    for chunk in big.chunks(7) {
        writer.write(batch(chunk)).await.unwrap();
    }
    let shard = writer.finish(&[]).await.unwrap();
    assert!(shard.record().bytes > 30 << 20);
    shard.commit().await.unwrap();
    let batches = bench.dataset.read_shard(SHARD, glass_dataset::Columns::All).await.unwrap();
    let read: Vec<MaskRow> = batches.iter().flat_map(|b| MaskRow::decode(b).unwrap()).collect();
    assert_eq!(read, big);
}

#[tokio::test]
async fn a_create_that_arrives_late_is_met_by_the_next_try() {
    let bench = Bench::new().await;
    let shard = bench.written(0.0).await;
    // The second try collides with the first one under way, the third meets it.
    bench.next_create(&[
        CreateFault::ArrivesLate(Duration::from_millis(1)),
        CreateFault::Conflict,
        CreateFault::Conflict,
    ]);
    assert_eq!(shard.commit().await.unwrap(), Outcome::Committed);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(bench.visible().await, [0.0, 1.0, 2.0]);
    assert_eq!(bench.data_objects().await, 1);
}

#[tokio::test]
async fn a_create_that_arrives_after_its_process_died_is_a_commit() {
    let bench = Bench::new().await;
    let late = bench.written(0.0).await;
    bench.next_create(&[CreateFault::ArrivesLate(Duration::from_millis(20))]);
    // The process dies while it waits for the answer.
    let died = tokio::time::timeout(Duration::from_millis(1), late.commit()).await;
    drop((died, late));
    bench.faulty.faults.lock().unwrap().creates.clear();
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(bench.visible().await, [0.0, 1.0, 2.0]);
    // The run that follows makes the shard again, perhaps, and finds it there.
    assert_eq!(bench.written(0.5).await.commit().await.unwrap(), Outcome::Lost);
    assert_eq!(bench.visible().await, [0.0, 1.0, 2.0]);
}

#[tokio::test]
async fn an_attempt_that_never_commits_is_invisible() {
    let bench = Bench::new().await;
    drop(bench.written(0.0).await);
    assert_eq!(bench.data_objects().await, 1);
    assert!(bench.dataset.committed().await.unwrap().is_empty());
    assert!(bench.dataset.finish().await.unwrap().is_none());
    let read = bench.dataset.read_shard(SHARD, glass_dataset::Columns::All).await;
    assert!(matches!(read, Err(DatasetError::NotCommitted { .. })));
}

#[tokio::test]
async fn a_dropped_writer_aborts_its_upload() {
    let bench = Bench::new().await;
    let schema = MaskRow::schema();
    let mut writer = bench.dataset.shard_writer(SHARD, schema).unwrap();
    let mut big = rows(20, 0.0);
    for (number, row) in big.iter_mut().enumerate() {
        row.mask.bytes = incompressible(1 << 20, number as u64);
    }
    for chunk in big.chunks(4) {
        writer.write(batch(chunk)).await.unwrap();
    }
    // A full row group leaves the encoder, and so parts are on their way.
    let more = big.iter().cycle().take(100).cloned().collect::<Vec<_>>();
    writer.write(batch(&more)).await.unwrap();
    drop(writer);
    for _ in 0..1000 {
        if bench.faulty.faults.lock().unwrap().aborted == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.faulty.faults.lock().unwrap().aborted, 1);
    assert_eq!(bench.data_objects().await, 0);
}

#[tokio::test]
async fn a_manifest_missed_is_written_by_the_next() {
    let bench = Bench::new().await;
    bench.written(0.0).await.commit().await.unwrap();
    assert!(bench.dataset.manifest().await.unwrap().is_none());
    bench.next_create(&[CreateFault::AnswerLost]);
    let manifest = bench.dataset.finish().await.unwrap().unwrap();
    assert_eq!(bench.dataset.manifest().await.unwrap().unwrap(), manifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_finishers_write_one_manifest() {
    let bench = Bench::new().await;
    bench.written(0.0).await.commit().await.unwrap();
    bench.next_create(&[CreateFault::Conflict, CreateFault::OwnObjectMet]);
    let running = (0..8).map(|_| {
        let dataset = bench.dataset.clone();
        tokio::spawn(async move { dataset.finish().await.unwrap().unwrap() })
    });
    let manifests: Vec<_> = futures::future::join_all(running).await;
    let stored = bench.dataset.manifest().await.unwrap().unwrap();
    assert!(manifests.into_iter().all(|manifest| manifest.unwrap() == stored));
}
