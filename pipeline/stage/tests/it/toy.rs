//! A stage whose network is arithmetic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, ready};
use futures::stream::{self, StreamExt};
use glass_dataset::{Dataset, Store};
use glass_schemas::dataset::{EncodedImage, MaskRow, Row};
use glass_schemas::ids::{DatasetKind, Digest, SampleId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_schemas::plan::Plan;
use glass_stage::{ErrorClass, Failure, ItemStream, Job, Options, Source, StageError, Worker};

/// Every so many samples one fails.
pub const FAILS_EVERY: u64 = 17;

pub fn sample(number: u64) -> SampleId {
    SampleId::of_source(&Digest::of(&number.to_le_bytes()))
}

/// Numbers of a shard; some cannot be read.
pub struct Numbers {
    pub plan: Plan,
    /// Loads that break off with a passing error, before they work.
    pub breaks: AtomicU32,
    /// Whether every number is unreadable.
    pub all_unreadable: bool,
    /// Whether what was unreadable can be read now.
    pub mended: bool,
    /// Numbers not there yet: those with this remainder.
    pub withheld: Option<u64>,
}

impl Numbers {
    fn there(&self, shard: ShardIndex) -> impl Iterator<Item = u64> + use<> {
        let withheld = self.withheld;
        self.plan.range(shard).filter(move |number| Some(number % FAILS_EVERY) != withheld)
    }
}

impl Source for Numbers {
    type Item = u64;

    fn load(&self, shard: ShardIndex) -> ItemStream<'_, u64> {
        let numbers = stream::iter(self.there(shard)).map(|number| {
            let name = format!("number {number}");
            let unreadable = self.all_unreadable || (!self.mended && number % FAILS_EVERY == 3);
            Ok(match unreadable {
                true => Err(Failure::new(name, ErrorClass::Unreadable, "not a number")),
                false => Ok(number),
            })
        });
        let broken = self.breaks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if broken.is_err() {
            return numbers.boxed();
        }
        let error = object_store::Error::Generic { store: "test", source: "cut off".into() };
        let error = glass_dataset::DatasetError::Store {
            store: "test".to_owned(),
            key: "numbers".to_owned(),
            source: error.into(),
        };
        numbers.take(5).chain(stream::once(async { Err(StageError::from(error)) })).boxed()
    }

    fn name(&self, number: &u64) -> (String, SampleId) {
        (format!("number {number}"), sample(*number))
    }

    fn inputs(&self, shard: ShardIndex) -> BoxFuture<'_, Result<Option<u64>, StageError>> {
        Box::pin(ready(Ok(Some(self.there(shard).count() as u64))))
    }
}

/// Squares numbers, slowly; fails for some and panics for one if asked.
pub struct Squares {
    /// Numbers that were squared.
    pub made: Arc<AtomicU64>,
    pub delay: Duration,
    pub panics_at: Option<u64>,
    pub mended: bool,
}

impl Worker for Squares {
    type Item = u64;
    type Output = (MaskRow, MaskRow);

    fn process(&mut self, batch: Vec<u64>) -> Vec<Result<Self::Output, Failure>> {
        std::thread::sleep(self.delay);
        self.made.fetch_add(batch.len() as u64, Ordering::SeqCst);
        let square = |number: u64| {
            assert!(self.panics_at != Some(number), "cannot square {number}");
            if !self.mended && number % FAILS_EVERY == 5 {
                let failure = Failure::new(format!("number {number}"), ErrorClass::NonFinite, "too odd");
                return Err(failure.with_sample(sample(number)));
            }
            Ok((row(number, number as f32), row(number, (number * number) as f32)))
        };
        batch.into_iter().map(square).collect()
    }
}

pub fn row(number: u64, value: f32) -> MaskRow {
    MaskRow {
        sample_id: sample(number),
        classes: Vec::new(),
        mask: EncodedImage { bytes: number.to_le_bytes().repeat(200), path: format!("{number}.png") },
        width: 1,
        height: 1,
        extractor: "toy".to_owned(),
        quality: Vec::new(),
        agreement: value,
    }
}

pub async fn datasets(store: &Store, shards: u32) -> Vec<Dataset> {
    try_datasets(store, shards).await.unwrap()
}

pub async fn try_datasets(store: &Store, shards: u32) -> Result<Vec<Dataset>, glass_dataset::DatasetError> {
    let mut datasets = Vec::new();
    for name in ["first", "second"] {
        let identity = Identity::new(IdentityParts {
            kind: DatasetKind::Masks,
            stage: "toy".to_owned(),
            run_seed: 1,
            spec: serde_json::json!({ "name": name }),
            upstream: Vec::new(),
            weights: BTreeMap::new(),
            shards,
        });
        datasets.push(Dataset::create(store, &identity).await?);
    }
    Ok(datasets)
}

pub fn job(datasets: Vec<Dataset>, source: Numbers, worker: Squares, options: Options) -> Job<Numbers, Squares> {
    Job {
        datasets,
        earlier: Vec::new(),
        plan: source.plan,
        source,
        worker: Box::new(move || Ok(worker)),
        encode: Box::new(|rows| {
            let (first, second): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            Ok(vec![MaskRow::encode(&first)?, MaskRow::encode(&second)?])
        }),
        options,
    }
}

pub fn numbers(plan: Plan) -> Numbers {
    Numbers { plan, breaks: AtomicU32::new(0), all_unreadable: false, mended: false, withheld: None }
}

pub fn quick() -> Squares {
    Squares { made: Arc::default(), delay: Duration::ZERO, panics_at: None, mended: false }
}

/// What the dataset must hold: every planned number once, in order, as a row or in quarantine.
/// Returns the digests of all objects, to compare runs.
pub async fn check_complete(store: &Store, plan: Plan) -> Vec<Digest> {
    let mut digests = Vec::new();
    for dataset in datasets(store, plan.shards()).await {
        let manifest = dataset.finish().await.unwrap().expect("every shard is committed");
        assert_eq!(manifest.rows + manifest.quarantined, plan.items());
        for commit in &manifest.shards {
            dataset.verify_shard(commit.shard).await.unwrap();
            digests.push(commit.digest);
            let batches = dataset.read_shard(commit.shard, glass_dataset::Columns::All).await.unwrap();
            let rows: Vec<MaskRow> = batches.iter().flat_map(|b| MaskRow::decode(b).unwrap()).collect();
            let good = |number: &u64| ![3, 5].contains(&(number % FAILS_EVERY));
            let expected: Vec<_> = plan.range(commit.shard).filter(good).map(sample).collect();
            assert_eq!(rows.iter().map(|row| row.sample_id).collect::<Vec<_>>(), expected);
            let failed = dataset.quarantine(commit.shard).await.unwrap();
            let names: Vec<_> = failed.iter().map(|row| row.item.clone()).collect();
            let bad = plan.range(commit.shard).filter(|number| !good(number));
            assert_eq!(names, bad.map(|number| format!("number {number}")).collect::<Vec<_>>());
        }
    }
    digests
}

pub fn shared(store: Arc<dyn object_store::ObjectStore>) -> Store {
    let retry = glass_dataset::RetryPolicy { attempts: 1, first_wait: Duration::from_micros(100) };
    Store::custom(store, "test://", retry)
}
