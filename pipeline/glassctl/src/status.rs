//! `glassctl status`: how far datasets are, from the store alone.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use glass_dataset::{Dataset, Standing};
use glass_schemas::manifest::Commit;
use glass_stage::ExitStatus;

use crate::target::StoreArgs;
use crate::{output, text};

/// Commits that the rate is taken from: what was long ago says nothing about now.
const RECENT: usize = 32;

/// Show how far datasets are: shards, rows, rate, remaining time, failures
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Reads the store and asks no worker. The rate is that of the last 32 commits.

Example:
  glassctl status --store demo-out
  glassctl status masks --spec run.toml --set masks.low=0.4 --json")]
pub struct StatusArgs {
    /// The dataset, by id or kind [default: those of the spec, or every one]
    #[arg(value_name = "DATASET")]
    pub dataset: Option<String>,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

/// How far one dataset is.
#[derive(Debug, serde::Serialize)]
struct Status {
    dataset: String,
    stage: String,
    upstream: Vec<String>,
    /// Whether it has a manifest.
    complete: bool,
    shards_planned: u32,
    shards_committed: u32,
    rows: u64,
    bytes: u64,
    quarantined: u64,
    /// Quarantined samples by error class.
    failures: BTreeMap<String, u64>,
    first_commit: Option<String>,
    last_commit: Option<String>,
    samples_per_second: Option<f64>,
    eta_seconds: Option<u64>,
}

/// Prints how far each dataset is.
///
/// # Errors
/// The user's (store, dataset) and the store's.
pub async fn status(args: StatusArgs) -> anyhow::Result<ExitStatus> {
    let mut found = Vec::new();
    for dataset in args.target.datasets(args.dataset.as_deref()).await? {
        found.push(survey(&dataset).await?);
    }
    match args.target.json {
        true => output::json(&found)?,
        false => output::text(&found.iter().map(paragraph).collect::<Vec<_>>().join("\n"))?,
    }
    Ok(ExitStatus::Done)
}

async fn survey(dataset: &Dataset) -> anyhow::Result<Status> {
    let identity = dataset.identity();
    let times = dataset.commit_times().await?;
    let manifest = dataset.manifest().await?;
    let complete = manifest.is_some();
    let commits = match manifest {
        Some(manifest) => manifest.shards,
        None => dataset.commits(times.keys().copied().collect::<Vec<_>>()).try_collect().await?,
    };
    let samples = |commit: &Commit| commit.rows + commit.quarantined;
    let (standing, failures) = all_passes(dataset, &commits).await?;
    let mut paced: Vec<(i64, u64)> =
        commits.iter().filter_map(|commit| Some((*times.get(&commit.shard)?, samples(commit)))).collect();
    paced.sort_unstable();
    let rate = rate(&paced);
    let left = u64::from(identity.shards).saturating_sub(commits.len() as u64);
    let all: u64 = commits.iter().map(samples).sum();
    let left = left as f64 * all as f64 / commits.len().max(1) as f64;
    Ok(Status {
        dataset: dataset.id().to_string(),
        stage: identity.stage.clone(),
        upstream: identity.upstream.iter().map(ToString::to_string).collect(),
        complete,
        shards_planned: identity.shards,
        shards_committed: u32::try_from(commits.len()).unwrap_or(u32::MAX),
        rows: standing.rows,
        bytes: standing.bytes,
        quarantined: standing.quarantined,
        failures,
        first_commit: paced.first().map(|(time, _)| text::utc(*time)),
        last_commit: paced.last().map(|(time, _)| text::utc(*time)),
        samples_per_second: rate,
        eta_seconds: rate.filter(|_| !complete).map(|rate| (left / rate).ceil() as u64),
    })
}

/// Samples a second over the last commits, oldest first: those after the first of them, over the
/// time since then. `None` where that takes no time.
fn rate(commits: &[(i64, u64)]) -> Option<f64> {
    let recent = &commits[commits.len().saturating_sub(RECENT)..];
    let (first, rest) = recent.split_first()?;
    let seconds = rest.last()?.0 - first.0;
    let samples: u64 = rest.iter().map(|(_, samples)| samples).sum();
    (seconds > 0 && samples > 0).then(|| samples as f64 / seconds as f64)
}

/// What the commits and the retries after them come to, and the failures left by error class.
async fn all_passes(dataset: &Dataset, commits: &[Commit]) -> anyhow::Result<(Standing, BTreeMap<String, u64>)> {
    let retried = dataset.retries().await?;
    let (mut standing, mut classes) = (Standing::default(), BTreeMap::new());
    for commit in commits {
        let parts = match retried.contains_key(&commit.shard) {
            true => dataset.with_retries(commit.clone()).await?,
            false => vec![commit.clone()],
        };
        standing.add(&parts);
        for row in dataset.quarantine_of(parts.last()).await? {
            *classes.entry(row.error_class).or_default() += 1;
        }
    }
    Ok((standing, classes))
}

fn paragraph(status: &Status) -> String {
    let state = match (status.complete, status.shards_committed) {
        (true, _) => "complete",
        (false, 0) => "nothing committed yet",
        (false, _) => "under way or interrupted",
    };
    let failures: Vec<String> = status.failures.iter().map(|(class, count)| format!("{count} {class}")).collect();
    let failures = match failures.is_empty() {
        true => String::new(),
        false => format!(" ({})", failures.join(", ")),
    };
    let mut lines = [
        ["state", state],
        ["shards", &format!("{} of {} committed", status.shards_committed, status.shards_planned)],
        ["rows", &format!("{}, {}", status.rows, text::bytes(status.bytes))],
        ["quarantined", &format!("{}{failures}", status.quarantined)],
    ]
    .map(|row| row.map(str::to_owned))
    .to_vec();
    if let (Some(first), Some(last)) = (&status.first_commit, &status.last_commit) {
        lines.push(["commits".to_owned(), format!("{first} to {last}")]);
    }
    if let Some(rate) = status.samples_per_second {
        lines.push(["rate".to_owned(), format!("{rate:.3} samples/s")]);
    }
    if let Some(seconds) = status.eta_seconds {
        let time = text::duration(std::time::Duration::from_secs(seconds));
        lines.push(["remaining".to_owned(), format!("{time} at that rate")]);
    }
    let upstream = match status.upstream.is_empty() {
        true => String::new(),
        false => format!(" of {}", status.upstream.join(", ")),
    };
    let table = text::table(&lines);
    let indented: String = table.lines().map(|line| format!("  {line}\n")).collect();
    format!("{}  {}{upstream}\n{indented}", status.dataset, status.stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_recent_commits() {
        assert_eq!(rate(&[]), None);
        assert_eq!(rate(&[(5, 100)]), None);
        assert_eq!(rate(&[(5, 100), (5, 100)]), None);
        assert_eq!(rate(&[(0, 100), (10, 50), (20, 50)]), Some(5.0));
        // A pause of a week before the last 32 commits does not count.
        let mut commits = vec![(0, 100)];
        commits.extend((0..40).map(|n| (604_800 + n * 10, 20)));
        assert_eq!(rate(&commits), Some(2.0));
    }
}
