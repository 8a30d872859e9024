//! `glassctl verify`: whether a dataset is what it promises to be.
//!
//! This is a reader of its own: documents, digests and tables are read here from the plain objects,
//! not through the code that wrote them, so that a mistake there is found and not repeated.

mod planned;
mod record;
mod shard;
pub(crate) mod table;

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use glass_dataset::{Dataset, Store, gc};
use glass_schemas::ids::{DatasetId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_stage::{Context, ExitStatus, Explain};
use serde_json::Value;

use crate::target::StoreArgs;
use crate::{output, text};
use planned::Planned;
use record::{Committed, Record};

/// Shards read at once.
const AT_ONCE: usize = 2;

/// Check that every planned sample is there once, committed or quarantined, with the right bytes
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Reads every byte. Prints a line for each thing that is wrong and one for each dataset; exits with 1 if
anything is wrong, a shard that is not committed included.

Example:
  glassctl verify --store demo-out
  glassctl verify masks-0123456789abcdef --store s3://bucket/glass --json")]
pub struct VerifyArgs {
    /// The dataset, by id or kind [default: every one]
    #[arg(value_name = "DATASET")]
    pub dataset: Option<String>,
    /// Where to look
    #[command(flatten)]
    pub target: StoreArgs,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
struct Problem {
    /// The object it is about.
    object: String,
    /// What is wrong with it.
    what: String,
}

impl Problem {
    fn new(object: impl Into<String>, what: impl Into<String>) -> Self {
        Self { object: object.into(), what: what.into() }
    }
}

/// What was found about one dataset.
#[derive(Debug, Default, serde::Serialize)]
struct Findings {
    dataset: String,
    shards_planned: u32,
    shards_committed: usize,
    rows: u64,
    quarantined: u64,
    bytes: u64,
    /// What could not be compared, and why.
    notes: Vec<String>,
    problems: Vec<Problem>,
}

/// Checks and prints.
///
/// # Errors
/// The user's: a store that cannot be read, a dataset that does not exist, or one that is wrong.
pub async fn verify(args: VerifyArgs, context: Context) -> anyhow::Result<ExitStatus> {
    let (store, _) = args.target.open()?;
    let ids: Vec<DatasetId> = match (&args.dataset, &args.target.spec) {
        (None, None) => gc::datasets(&store).await?,
        (name, _) => {
            let datasets = args.target.datasets(name.as_deref()).await?;
            datasets.iter().map(|dataset| dataset.id().clone()).collect()
        }
    };
    let mut all = Vec::new();
    for id in &ids {
        let Some(findings) = check(&store, id, &context).await? else {
            return Ok(ExitStatus::Interrupted);
        };
        if !args.target.json {
            output::text(&lines(&findings))?;
        }
        all.push(findings);
    }
    if args.target.json {
        output::json(&all)?;
    }
    let wrong: usize = all.iter().map(|findings| findings.problems.len()).sum();
    match (ids.is_empty(), wrong) {
        (true, _) => Err(anyhow::anyhow!("the store `{}` holds no dataset", store.uri()))
            .blame_user()
            .hint("check --store"),
        (false, 0) => Ok(ExitStatus::Done),
        (false, _) => Err(anyhow::anyhow!("{wrong} things are wrong in the store `{}`", store.uri()))
            .blame_user()
            .hint("shards that are not committed: run the stage again; samples that are neither committed nor quarantined although their shard is: what they are made of was retried, run `glassctl retry` to its end; damaged objects: put a copy back, or make the dataset again in another store"),
    }
}

fn lines(findings: &Findings) -> String {
    let wrong = findings.problems.iter().map(|p| format!("WRONG  {}  {}\n", p.object, p.what));
    let notes = findings.notes.iter().map(|note| format!("note   {}  {note}\n", findings.dataset));
    let verdict = if findings.problems.is_empty() { "ok   " } else { "WRONG" };
    let summary = format!(
        "{verdict}  {}  {} of {} shards, {} rows, {} quarantined, {}\n",
        findings.dataset,
        findings.shards_committed,
        findings.shards_planned,
        findings.rows,
        findings.quarantined,
        text::bytes(findings.bytes),
    );
    wrong.chain(notes).chain([summary]).collect()
}

/// Checks one dataset; `None` if a signal ended it.
async fn check(store: &Store, id: &DatasetId, context: &Context) -> anyhow::Result<Option<Findings>> {
    let mut findings = Findings { dataset: id.to_string(), ..Findings::default() };
    let Some(identity) = identity(store, id, &mut findings).await? else {
        return Ok(Some(findings));
    };
    findings.shards_planned = identity.shards;
    let mut records = records(store, &identity, &mut findings).await?;
    rounds(store, &identity, &mut records, &mut findings).await?;
    for shard in records.values() {
        findings.rows += shard.parts().map(|part| part.rows).sum::<u64>();
        findings.bytes += shard.parts().map(|part| part.bytes).sum::<u64>();
        findings.quarantined += shard.quarantined();
    }
    let planned = Planned::open(store, &identity, &mut findings.notes).await?;
    let checked = stream::iter(&records)
        .map(|(shard, committed)| {
            let last = shard.0 + 1 == identity.shards;
            shard::check(store, id, committed, &planned, last)
        })
        .buffered(AT_ONCE);
    let mut checked = std::pin::pin!(checked);
    while let Some(problems) = checked.next().await {
        if context.stop.is_set() {
            return Ok(None);
        }
        findings.problems.extend(problems?);
    }
    manifest(store, &identity, &records, &mut findings).await?;
    Ok(Some(findings))
}

/// `SPEC.json`, if it is one and the dataset's name is the hash of what it says.
async fn identity(store: &Store, id: &DatasetId, findings: &mut Findings) -> anyhow::Result<Option<Identity>> {
    let key = format!("{}/SPEC.json", id.path());
    let Some(bytes) = store.get_if_there(&key).await? else {
        findings.problems.push(Problem::new(key, "missing"));
        return Ok(None);
    };
    let identity: Identity = match serde_json::from_slice(&bytes) {
        Ok(identity) => identity,
        Err(error) => {
            findings.problems.push(Problem::new(key, format!("cannot be read: {error}")));
            return Ok(None);
        }
    };
    let computed = Identity::new(IdentityParts {
        kind: id.kind(),
        stage: identity.stage.clone(),
        run_seed: identity.run_seed,
        spec: identity.spec.clone(),
        upstream: identity.upstream.clone(),
        weights: identity.weights.clone(),
        shards: identity.shards,
    });
    if computed.id != *id || identity.id != *id {
        let what = format!("what it says makes `{}`, it calls itself `{}`", computed.id, identity.id);
        findings.problems.push(Problem::new(key, what));
    }
    Ok(Some(identity))
}

/// Every commit record of the plan.
async fn records(
    store: &Store,
    identity: &Identity,
    findings: &mut Findings,
) -> anyhow::Result<BTreeMap<ShardIndex, Committed>> {
    let folder = format!("{}/commits", identity.id.path());
    let mut records = BTreeMap::new();
    for shard in (0..identity.shards).map(ShardIndex) {
        let key = format!("{folder}/{shard}.json");
        let Some(bytes) = store.get_if_there(&key).await? else {
            findings.problems.push(Problem::new(key, "not committed"));
            continue;
        };
        let document: Result<Value, _> = serde_json::from_slice(&bytes);
        let record = document.and_then(|json| Ok((Record::deserialize(&json)?, json)));
        match record {
            Ok((record, json)) => {
                findings.shards_committed += 1;
                if record.shard != shard.0 {
                    let what = format!("says that it commits shard {:05}", record.shard);
                    findings.problems.push(Problem::new(&key, what));
                }
                records.insert(shard, Committed { record, json, rounds: Vec::new() });
            }
            Err(error) => {
                findings.problems.push(Problem::new(key, format!("cannot be read: {error}")));
            }
        }
    }
    for key in store.list_keys(&folder).await? {
        let name = key.rsplit('/').next().unwrap_or_default();
        let known = name.strip_suffix(".json").and_then(|number| number.parse::<u32>().ok());
        if !known.is_some_and(|n| n < identity.shards && name == format!("{}.json", ShardIndex(n))) {
            findings.problems.push(Problem::new(&key, "is no commit of a planned shard"));
        }
    }
    Ok(records)
}

/// Adds the rounds of retries to their shards; each must follow the one before it.
async fn rounds(
    store: &Store,
    identity: &Identity,
    records: &mut BTreeMap<ShardIndex, Committed>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let folder = format!("{}/retries", identity.id.path());
    let mut keys = BTreeMap::new();
    for key in store.list_keys(&folder).await? {
        let name = key.rsplit('/').next().unwrap_or_default();
        let numbers = name.strip_suffix(".json").and_then(|name| name.split_once('-'));
        let numbers =
            numbers.and_then(|(shard, round)| Some((ShardIndex(shard.parse().ok()?), round.parse::<usize>().ok()?)));
        match numbers {
            Some(numbers) => drop(keys.insert(numbers, key)),
            None => findings.problems.push(Problem::new(key, "is no round of retries")),
        }
    }
    for ((shard, round), key) in keys {
        let Some(committed) = records.get_mut(&shard).filter(|it| it.rounds.len() + 1 == round) else {
            let what = "is a round of no committed shard, or the round before it is missing";
            findings.problems.push(Problem::new(key, what));
            continue;
        };
        let bytes = store.get_if_there(&key).await?.unwrap_or_default();
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) if record.shard == shard.0 => committed.rounds.push(record),
            Ok(record) => {
                let what = format!("says that it is of shard {:05}", record.shard);
                findings.problems.push(Problem::new(key, what));
            }
            Err(error) => findings.problems.push(Problem::new(key, format!("cannot be read: {error}"))),
        }
    }
    Ok(())
}

/// Compares `MANIFEST.json` with the commits, or says that it should be there.
async fn manifest(
    store: &Store,
    identity: &Identity,
    records: &BTreeMap<ShardIndex, Committed>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let key = format!("{}/MANIFEST.json", identity.id.path());
    let mut wrong = |what: String| findings.problems.push(Problem::new(&key, what));
    let complete = records.len() == identity.shards as usize;
    let Some(bytes) = store.get_if_there(&key).await? else {
        if complete {
            wrong("missing although every shard is committed; run the stage again".to_owned());
        }
        return Ok(());
    };
    let manifest: Value = match serde_json::from_slice(&bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            wrong(format!("cannot be read: {error}"));
            return Ok(());
        }
    };
    if manifest["identity"] != serde_json::to_value(identity)? {
        wrong("its identity is not that of SPEC.json".to_owned());
    }
    let listed = manifest["shards"].as_array().map(Vec::as_slice).unwrap_or_default();
    let differs = listed.iter().zip(records.values()).position(|(listed, shard)| *listed != shard.json);
    if listed.len() != identity.shards as usize || !complete {
        wrong(format!("lists {} shards, {} are committed", listed.len(), records.len()));
    } else if let Some(shard) = differs {
        wrong(format!("says something else of shard {shard:05} than its commit"));
    }
    let sums = [
        ("rows", records.values().map(|shard| shard.record.rows).sum::<u64>()),
        ("bytes", records.values().map(|shard| shard.record.bytes).sum()),
        ("quarantined", records.values().map(|shard| shard.record.quarantined).sum()),
    ];
    for (name, sum) in sums {
        if complete && manifest[name] != sum {
            wrong(format!("`{name}` is {}, the commits come to {sum}", manifest[name]));
        }
    }
    Ok(())
}

/// The datasets named upstream that are in this store.
async fn upstream(store: &Store, identity: &Identity) -> anyhow::Result<Option<Dataset>> {
    match identity.upstream.first() {
        None => Ok(None),
        Some(id) => match Dataset::open(store, id).await {
            Ok(dataset) => Ok(Some(dataset)),
            Err(glass_dataset::DatasetError::UnknownDataset { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        },
    }
}
