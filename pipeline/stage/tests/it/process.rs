//! The toy stage as a process: this test binary, started again with one test and a command line.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use glass_dataset::{Store, StoreOptions};
use glass_schemas::plan::Plan;
use glass_stage::{ExitStatus, Options, ProcessArgs, SpillBound, Stragglers, WorkerSlot, stage_main_from};

use crate::toy::{Numbers, Squares, job, numbers, try_datasets};

const COMMAND_LINE: &str = "GLASS_TOY_STAGE";

#[derive(Parser)]
struct Args {
    #[arg(long)]
    store: String,
    #[arg(long, default_value_t = 12)]
    shards: u64,
    #[arg(long, default_value_t = 40)]
    rows: u32,
    #[arg(long, default_value_t = 8)]
    batch_size: usize,
    #[arg(long, default_value_t = 4)]
    delay_ms: u64,
    #[arg(long, default_value_t = 0)]
    index: u32,
    #[arg(long, default_value_t = 1)]
    count: u32,
    #[arg(long)]
    stragglers: bool,
    #[arg(long, default_value_t = 0)]
    spill_samples: u64,
    #[arg(long, default_value_t = 0)]
    spill_seconds: u64,
    #[arg(long, default_value_t = 0)]
    lease_ms: u64,
    #[arg(long)]
    all_unreadable: bool,
    #[arg(long)]
    panics_at: Option<u64>,
    #[arg(long)]
    no_weights: bool,
    #[command(flatten)]
    process: ProcessArgs,
}

impl AsRef<ProcessArgs> for Args {
    fn as_ref(&self) -> &ProcessArgs {
        &self.process
    }
}

/// Does nothing unless this process was started by [`start`].
#[test]
fn toy_stage() {
    let Ok(line) = std::env::var(COMMAND_LINE) else {
        return;
    };
    let line = std::iter::once("toy".into()).chain(line.split('\n').map(Into::into));
    let status = stage_main_from("toy", line, |args: Args, context| async move {
        let store = Store::open(&args.store, &StoreOptions::default())?;
        let plan = plan_of(args.shards, args.rows);
        let source = Numbers { all_unreadable: args.all_unreadable, ..numbers(plan) };
        let worker = Squares {
            made: Arc::default(),
            delay: Duration::from_millis(args.delay_ms),
            panics_at: args.panics_at,
            mended: false,
        };
        let options = Options {
            slot: WorkerSlot { index: args.index, count: args.count },
            batch_size: args.batch_size,
            stragglers: if args.stragglers { Stragglers::Take } else { Stragglers::Leave },
            spill: SpillBound { samples: args.spill_samples, time: Duration::from_secs(args.spill_seconds) },
            lease: Duration::from_millis(args.lease_ms),
            ..Options::default()
        };
        let mut job = job(try_datasets(&store, plan.shards()).await?, source, worker, options);
        if args.no_weights {
            job.worker = Box::new(|| anyhow::bail!("no weights"));
        }
        Ok(glass_stage::run(job, &context).await?.status())
    });
    std::process::exit(i32::from(status.code()));
}

pub fn plan_of(shards: u64, rows: u32) -> Plan {
    // The last shard is not full.
    Plan::new(shards * u64::from(rows) - u64::from(rows / 2), rows)
}

pub fn start(store: &Path, flags: &[&str]) -> Child {
    start_in(&[], store, flags)
}

pub fn start_in(environment: &[(&str, &str)], store: &Path, flags: &[&str]) -> Child {
    let mut line = vec!["--store", store.to_str().unwrap()];
    line.extend(flags);
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process::toy_stage", "--nocapture", "--test-threads=1"])
        .env(COMMAND_LINE, line.join("\n"))
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub fn finish(child: Child) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

pub fn run(store: &Path, flags: &[&str]) -> (Option<i32>, String) {
    finish(start(store, flags))
}

pub fn code(status: ExitStatus) -> Option<i32> {
    Some(i32::from(status.code()))
}
