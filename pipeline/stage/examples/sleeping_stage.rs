//! A stage whose network sleeps: what a stage costs beside its network, and what campaigns kill.
//!
//! Makes a captions dataset of its own, so that `glassctl verify`, `status` and `gc` know it: sample n
//! is `n.png`, its caption holds as many characters as asked for, drawn from n. On standard output it
//! tells when it began, had its network, made the first sample and ended, in seconds since 1970:
//!
//! ```text
//! begun 1764157123.250
//! loaded 1764157124.251
//! first 1764157125.252
//! ended 1764157190.400 committed 6 rows 60 computing 60.004
//! ```

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use futures::stream::{self, StreamExt};
use glass_dataset::{Dataset, Store, StoreOptions};
use glass_schemas::dataset::{CaptionRow, Row};
use glass_schemas::ids::{DatasetKind, Digest, SampleId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_schemas::plan::Plan;
use glass_stage::{
    ErrorClass, Failure, ItemStream, Job, Loaded, Options, ProcessArgs, Source, Stragglers, Worker, WorkerSlot,
    stage_main,
};

/// Makes samples by sleeping.
#[derive(Parser)]
struct Args {
    /// Where to
    #[arg(long)]
    store: String,
    /// Samples in all
    #[arg(long, default_value_t = 60)]
    samples: u64,
    /// Samples of a shard
    #[arg(long, default_value_t = 10)]
    rows: u32,
    /// What a sample takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    sleep: u64,
    /// What loading the network takes, in milliseconds
    #[arg(long, default_value_t = 0)]
    load: u64,
    /// Characters of a caption
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// Every so many samples one fails; 0: none
    #[arg(long, default_value_t = 0)]
    fails_every: u64,
    #[arg(long, default_value_t = 1)]
    batch_size: usize,
    #[arg(long, default_value_t = 0)]
    index: u32,
    #[arg(long, default_value_t = 1)]
    count: u32,
    #[arg(long, value_enum, default_value_t)]
    stragglers: Stragglers,
    /// Longest time for one request, in seconds
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    #[command(flatten)]
    process: ProcessArgs,
}

impl AsRef<ProcessArgs> for Args {
    fn as_ref(&self) -> &ProcessArgs {
        &self.process
    }
}

/// The numbers of a shard.
struct Numbers(Plan);

impl Source for Numbers {
    type Item = u64;

    fn load(&self, shard: ShardIndex) -> ItemStream<'_, u64> {
        stream::iter(self.0.range(shard)).map(|number| Ok(Loaded::Ok(number))).boxed()
    }

    fn name(&self, number: &u64) -> (String, SampleId) {
        (format!("{number}.png"), sample(*number))
    }
}

/// Sleeps.
struct Sleeper {
    each: Duration,
    size: usize,
    fails_every: u64,
    made: u64,
}

impl Worker for Sleeper {
    type Item = u64;
    type Output = CaptionRow;

    fn process(&mut self, batch: Vec<u64>) -> Vec<Result<CaptionRow, Failure>> {
        let mut results = Vec::with_capacity(batch.len());
        for number in batch {
            std::thread::sleep(self.each);
            if self.made == 0 {
                println!("first {:.3}", now());
            }
            self.made += 1;
            let fails = self.fails_every > 0 && number % self.fails_every == self.fails_every - 1;
            results.push(match fails {
                true => {
                    let failure = Failure::new(format!("{number}.png"), ErrorClass::NonFinite, "drawn to fail");
                    Err(failure.with_sample(sample(number)))
                }
                false => Ok(row(number, self.size)),
            });
        }
        results
    }
}

fn source_digest(number: u64) -> Digest {
    Digest::of(&number.to_le_bytes())
}

fn sample(number: u64) -> SampleId {
    SampleId::of_source(&source_digest(number))
}

fn row(number: u64, size: usize) -> CaptionRow {
    CaptionRow {
        sample_id: sample(number),
        source_uri: format!("{number}.png"),
        source_digest: source_digest(number),
        width: 1,
        height: 1,
        caption: characters(number, size),
        classes: Vec::new(),
        class_source: "caption".to_owned(),
        flags: Vec::new(),
        prompt: number.to_string(),
    }
}

/// Text that does not compress well, the same for the same number.
fn characters(number: u64, size: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    let mut state = number ^ 0x9e37_79b9_7f4a_7c15;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(ALPHABET[(state >> 58) as usize])
    };
    (0..size).map(|_| draw()).collect()
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn identity(args: &Args, shards: u32) -> Identity {
    Identity::new(IdentityParts {
        kind: DatasetKind::Captions,
        stage: "sleeping-stage".to_owned(),
        run_seed: 0,
        // What `glassctl verify` takes the plan from.
        spec: serde_json::json!({
            "source": { "rows_per_shard": args.rows },
            "samples": args.samples,
            "size": args.size,
            "fails_every": args.fails_every,
        }),
        upstream: Vec::new(),
        weights: BTreeMap::new(),
        shards,
    })
}

fn main() -> std::process::ExitCode {
    stage_main("sleeping-stage", |args: Args, context| async move {
        println!("begun {:.3}", now());
        let plan = Plan::new(args.samples, args.rows);
        let options = StoreOptions { timeout: Duration::from_secs(args.timeout), ..StoreOptions::default() };
        let store = Store::open(&args.store, &options)?;
        let dataset = Dataset::create(&store, &identity(&args, plan.shards())).await?;
        let (each, load) = (Duration::from_millis(args.sleep), Duration::from_millis(args.load));
        let (size, fails_every) = (args.size, args.fails_every);
        let job = Job {
            datasets: vec![dataset],
            earlier: Vec::new(),
            plan,
            source: Numbers(plan),
            worker: Box::new(move || {
                std::thread::sleep(load);
                println!("loaded {:.3}", now());
                Ok(Sleeper { each, size, fails_every, made: 0 })
            }),
            encode: Box::new(|rows| Ok(vec![CaptionRow::encode(&rows)?])),
            options: Options {
                slot: WorkerSlot { index: args.index, count: args.count },
                batch_size: args.batch_size,
                stragglers: args.stragglers,
                ..Options::default()
            },
        };
        let summary = glass_stage::run(job, &context).await?;
        println!(
            "ended {:.3} committed {} rows {} computing {:.3}",
            now(),
            summary.shards_committed,
            summary.rows,
            summary.pace.computing.as_secs_f64(),
        );
        Ok(summary.status())
    })
}
