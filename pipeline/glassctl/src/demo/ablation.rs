//! `demo --ablation`: which guidance does what, over three seeds.

use futures::stream::{self, StreamExt, TryStreamExt};
use glass_stage::{Context, ExitStatus};

use crate::ablation_table::{Column, table};
use crate::runner::Runner;

/// Name and what it changes; phase 2 and the diffusion loss play no part in the comparison.
const MODES: [(&str, &[&str]); 3] = [
    ("semantic + instance", &[]),
    ("semantic only", &["trainer.loss.instance=0.0"]),
    ("instance only", &["trainer.loss.semantic=0.0"]),
];
const SEEDS: [u64; 3] = [0, 1, 2];

pub(super) async fn run(runner: &Runner, context: &Context) -> anyhow::Result<ExitStatus> {
    let status = runner.data(context).await?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let jobs = MODES.iter().flat_map(|mode| SEEDS.map(|seed| (mode, seed)));
    // A single-threaded training a core: the runs are independent.
    let rows: Vec<(&str, Vec<Column>)> = stream::iter(jobs)
        .map(|((name, changes), seed)| async move {
            let set: Vec<String> = changes.iter().map(|s| (*s).to_owned()).collect();
            let flags = ["--phase", "1", "--seed", &seed.to_string()].map(str::to_owned);
            let run = runner.train(&flags, &set, context).await?;
            let columns = runner.scores(&run.id, &set, context).await?;
            anyhow::Ok((*name, columns))
        })
        .buffered(cores)
        .try_collect()
        .await?;
    println!("{}", table(&rows));
    Ok(status)
}
