//! Failed samples made again, and samples whose inputs came later.

use std::collections::BTreeMap;
use std::sync::Arc;

use glass_dataset::{Columns, Dataset, Store};
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::{SampleId, ShardIndex};
use glass_schemas::plan::Plan;
use glass_stage::{Context, Ending, Failed, Options, Pass, Summary};
use object_store::memory::InMemory;

use crate::toy::{FAILS_EVERY, Numbers, Squares, datasets, job, numbers, quick, sample, shared};

fn plan() -> Plan {
    Plan::new(90, 40)
}

fn memory() -> Store {
    shared(Arc::new(InMemory::new()))
}

/// Runs a pass of the toy over all shards.
async fn pass(store: &Store, pass: Pass, source: Numbers, worker: Squares) -> Summary {
    let options = Options { pass, ..Options::default() };
    let job = job(datasets(store, plan().shards()).await, source, worker, options);
    glass_stage::run(job, &Context::detached("toy")).await.unwrap()
}

fn failed(conditions: &[&str]) -> Pass {
    Pass::Again(Failed::Where(conditions.iter().map(|text| text.parse().unwrap()).collect()))
}

fn mended() -> (Numbers, Squares) {
    (Numbers { mended: true, ..numbers(plan()) }, Squares { mended: true, ..quick() })
}

/// How often each sample has a row, and the attempts of those in quarantine by name; the two
/// datasets of the toy must agree.
async fn standing(store: &Store) -> (BTreeMap<SampleId, u32>, BTreeMap<String, u32>) {
    let mut found = Vec::new();
    for dataset in datasets(store, plan().shards()).await {
        let (mut rows, mut left) = (BTreeMap::new(), BTreeMap::new());
        for shard in (0..plan().shards()).map(ShardIndex) {
            for batch in dataset.read_shard(shard, Columns::All).await.unwrap() {
                for row in MaskRow::decode(&batch).unwrap() {
                    *rows.entry(row.sample_id).or_default() += 1;
                }
            }
            let quarantine = dataset.quarantine(shard).await.unwrap();
            left.extend(quarantine.into_iter().map(|row| (row.item, row.attempt)));
        }
        found.push((rows, left));
    }
    assert_eq!(found[0], found[1]);
    found.pop().unwrap()
}

fn all(numbers: impl Iterator<Item = u64>) -> BTreeMap<SampleId, u32> {
    numbers.map(|number| (sample(number), 1)).collect()
}

fn with_remainder(remainder: u64) -> impl Iterator<Item = u64> {
    (0..plan().items()).filter(move |number| number % FAILS_EVERY == remainder)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_asked_for_is_made_again_and_everything_once() {
    let store = memory();
    pass(&store, Pass::First, numbers(plan()), quick()).await;
    let (source, worker) = mended();
    let summary = pass(&store, failed(&["class=unreadable"]), source, worker).await;
    assert_eq!((summary.ending, summary.rows), (Ending::Complete, with_remainder(3).count() as u64));
    let (rows, left) = standing(&store).await;
    assert_eq!(rows, all((0..90).filter(|number| number % FAILS_EVERY != 5)));
    assert_eq!(left, with_remainder(5).map(|number| (format!("number {number}"), 1)).collect());

    let (source, worker) = mended();
    pass(&store, failed(&[]), source, worker).await;
    let (rows, left) = standing(&store).await;
    assert_eq!((rows, left.len()), (all(0..90), 0));
    let (source, worker) = mended();
    let summary = pass(&store, failed(&[]), source, worker).await;
    assert_eq!(summary.ending, Ending::NothingToDo);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_stays_with_its_attempts_counted() {
    let store = memory();
    pass(&store, Pass::First, numbers(plan()), quick()).await;
    let (before, _) = standing(&store).await;
    for _ in 0..2 {
        let summary = pass(&store, failed(&["class=non-finite"]), numbers(plan()), quick()).await;
        assert_eq!((summary.rows, summary.quarantined), (0, with_remainder(5).count() as u64));
    }
    let (rows, left) = standing(&store).await;
    assert_eq!(rows, before);
    let tried = |remainder: u64, attempt: u32| {
        with_remainder(remainder).map(move |number| (format!("number {number}"), attempt))
    };
    assert_eq!(left, tried(3, 1).chain(tried(5, 3)).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_came_later_are_made_and_nothing_else() {
    let store = memory();
    let withheld = || Numbers { withheld: Some(7), ..numbers(plan()) };
    pass(&store, Pass::First, withheld(), quick()).await;
    let nothing = pass(&store, Pass::Again(Failed::Leave), withheld(), quick()).await;
    assert_eq!(nothing.ending, Ending::NothingToDo);
    let summary = pass(&store, Pass::Again(Failed::Leave), numbers(plan()), quick()).await;
    assert_eq!(summary.rows, with_remainder(7).count() as u64);
    let (rows, left) = standing(&store).await;
    assert_eq!(rows, all((0..90).filter(|number| ![3, 5].contains(&(number % FAILS_EVERY)))));
    assert!(left.values().all(|attempt| *attempt == 1));
}

/// A process that died between the commits of a round leaves it in the first dataset only.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_was_begun_is_finished_before_another_is_chosen() {
    let store = memory();
    pass(&store, Pass::First, numbers(plan()), quick()).await;
    let (source, worker) = mended();
    pass(&store, failed(&["class=unreadable"]), source, worker).await;
    let head: Dataset = datasets(&store, plan().shards()).await.pop().unwrap();
    for key in store.list_keys(&format!("{}/retries", head.id().path())).await.unwrap() {
        store.delete(&key).await.unwrap();
    }
    // The other class is asked for; the first call finishes the round, the second makes it.
    for _ in 0..2 {
        let (source, worker) = mended();
        pass(&store, failed(&["class=non-finite"]), source, worker).await;
        standing(&store).await;
    }
    let (rows, left) = standing(&store).await;
    assert_eq!((rows, left.len()), (all(0..90), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sample_that_is_no_input_any_more_stays_in_quarantine() {
    let store = memory();
    pass(&store, Pass::First, numbers(plan()), quick()).await;
    let source = Numbers { withheld: Some(3), ..numbers(plan()) };
    pass(&store, failed(&["class=unreadable"]), source, quick()).await;
    let (_, left) = standing(&store).await;
    assert_eq!(left.len(), with_remainder(3).chain(with_remainder(5)).count());
    assert!(left.values().all(|attempt| *attempt == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sample_is_made_alone_and_as_it_was() {
    let (store, elsewhere) = (memory(), memory());
    pass(&store, Pass::First, numbers(plan()), quick()).await;
    let only = Pass::Only(ShardIndex(1), sample(45));
    let summary = pass(&elsewhere, only, numbers(plan()), quick()).await;
    assert_eq!(summary.rows, 1);
    let (made, stored) = (datasets(&elsewhere, 3).await.remove(1), datasets(&store, 3).await.remove(1));
    let row = |dataset: Dataset| async move {
        let batches = dataset.read_shard(ShardIndex(1), Columns::All).await.unwrap();
        let rows = batches.iter().flat_map(|batch| MaskRow::decode(batch).unwrap());
        rows.filter(|row| row.sample_id == sample(45)).collect::<Vec<_>>()
    };
    assert_eq!(row(made).await, row(stored).await);
}
