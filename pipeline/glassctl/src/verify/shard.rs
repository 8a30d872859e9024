//! One committed shard against its record and its plan.

use std::collections::HashSet;

use glass_dataset::{DatasetError, Store};
use glass_schemas::ids::{DatasetId, DatasetKind, ShardIndex};
use sha2::{Digest, Sha256};

use super::planned::{Counts, Planned};
use super::record::{Committed, Record};
use super::{Problem, table};

/// Bytes hashed at once.
const CHUNK: u64 = 16 << 20;

/// What is wrong with a shard. `last`: whether it is the plan's last one, which need not be full.
///
/// # Errors
/// A store that cannot be read; what is read and wrong is a problem.
pub(super) async fn check(
    store: &Store,
    id: &DatasetId,
    shard: &Committed,
    planned: &Planned,
    last: bool,
) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let (mut samples, mut names, mut failed) = (Vec::new(), HashSet::new(), Vec::new());
    for record in shard.parts() {
        let key = record.key(id, &record.data_key);
        if let Err(what) = placed(&record.data_key, "data", record) {
            return Ok(vec![Problem::new(key, what)]);
        }
        if let Err(what) = same_bytes(store, &key, record).await? {
            // What is in a damaged table says nothing.
            return Ok(vec![Problem::new(key, what)]);
        }
        let named = match rows(store, id, &key, record).await? {
            Ok((part, named)) => {
                samples.extend(part);
                named
            }
            Err(what) => return Ok(vec![Problem::new(key, what)]),
        };
        for name in named {
            if !names.insert(name.clone()) {
                return Ok(vec![Problem::new(key, format!("`{name}` is there twice"))]);
            }
        }
        // Each round lists all that is left, so that the last one's stands.
        failed = match quarantine(store, id, record).await? {
            Ok(failed) => failed,
            Err(problem) => {
                problems.push(problem);
                return Ok(problems);
            }
        };
    }
    let key = shard.record.key(id, &shard.record.data_key);
    if let Planned::Source { rows_per_shard } = planned {
        let count = samples.len() as u64 + shard.quarantined();
        let full = if last { count <= *rows_per_shard && count > 0 } else { count == *rows_per_shard };
        if !full {
            problems.push(Problem::new(key, format!("{count} samples, planned {rows_per_shard}")));
        }
    } else if let Some(plan) = planned.samples(ShardIndex(shard.record.shard)).await? {
        problems.extend(compare(&key, plan, &samples, &failed));
    }
    Ok(problems)
}

/// Whether an object is where objects of this shard and attempt are.
fn placed(key: &str, folder: &str, record: &Record) -> Result<(), String> {
    let expected = format!("{folder}/{:05}-{}.parquet", record.shard, record.attempt);
    match key == expected {
        true => Ok(()),
        false => Err(format!("the commit's attempt writes `{expected}`")),
    }
}

/// Compares size and digest, chunk by chunk.
async fn same_bytes(store: &Store, key: &str, record: &Record) -> anyhow::Result<Result<(), String>> {
    let mut hasher = Sha256::new();
    let mut start = 0;
    while start < record.bytes {
        let end = (start + CHUNK).min(record.bytes);
        let bytes = match store.get_range(key, start..end).await {
            Ok(bytes) => bytes,
            Err(DatasetError::Missing { .. }) => return Ok(Err("missing".to_owned())),
            Err(error) => match other_size(store, key, record.bytes).await? {
                Some(what) => return Ok(Err(what)),
                None => return Err(error.into()),
            },
        };
        hasher.update(&bytes);
        start = end;
    }
    if let Some(what) = other_size(store, key, record.bytes).await? {
        return Ok(Err(what));
    }
    let found = hex::encode(hasher.finalize());
    Ok(match found == record.digest {
        true => Ok(()),
        false => Err(format!("sha256 {found}, committed {}", record.digest)),
    })
}

/// What the store says of the object's size, if it is another one.
async fn other_size(store: &Store, key: &str, committed: u64) -> anyhow::Result<Option<String>> {
    let size = store.size(key).await?;
    Ok((size != Some(committed)).then(|| match size {
        Some(size) => format!("{size} bytes, committed {committed}"),
        None => "missing".to_owned(),
    }))
}

/// The samples of the rows, and what captions call theirs, after comparing them with what the
/// commit says.
async fn rows(
    store: &Store,
    id: &DatasetId,
    key: &str,
    record: &Record,
) -> anyhow::Result<Result<(Vec<String>, Vec<String>), String>> {
    let named = id.kind() == DatasetKind::Captions;
    let columns: &[&str] = if named { &["sample_id", "source_uri"] } else { &["sample_id"] };
    let read = async {
        let batches = table::columns(store, key, record.bytes, columns).await?;
        let samples = table::texts(&batches, "sample_id")?;
        let names = if named { table::texts(&batches, "source_uri")? } else { Vec::new() };
        Ok::<_, parquet::errors::ParquetError>((samples, names))
    };
    let (samples, names) = match read.await {
        Ok(columns) => columns,
        Err(error) => return Ok(Err(format!("cannot be read: {error}"))),
    };
    let samples: Vec<String> = samples.into_iter().flatten().collect();
    if samples.len() as u64 != record.rows {
        return Ok(Err(format!("{} rows, committed {}", samples.len(), record.rows)));
    }
    if samples.first() != record.first_sample.as_ref() || samples.last() != record.last_sample.as_ref() {
        return Ok(Err("its first or last sample is not the committed one".to_owned()));
    }
    Ok(Ok((samples, names.into_iter().flatten().collect())))
}

/// The samples in quarantine, as far as they have a name.
async fn quarantine(store: &Store, id: &DatasetId, record: &Record) -> anyhow::Result<Result<Vec<String>, Problem>> {
    let Some(relative) = &record.quarantine_key else {
        let commit = format!("{}/commits/{:05}.json", id.path(), record.shard);
        let what = format!("{} samples are quarantined in no table", record.quarantined);
        return Ok(if record.quarantined == 0 { Ok(Vec::new()) } else { Err(Problem::new(commit, what)) });
    };
    let key = record.key(id, relative);
    if let Err(what) = placed(relative, "quarantine", record) {
        return Ok(Err(Problem::new(key, what)));
    }
    let Some(bytes) = store.size(&key).await? else {
        return Ok(Err(Problem::new(key, "missing")));
    };
    let read = async {
        let batches = table::columns(store, &key, bytes, &["shard", "sample_id"]).await?;
        Ok::<_, parquet::errors::ParquetError>((
            table::numbers(&batches, "shard")?,
            table::texts(&batches, "sample_id")?,
        ))
    };
    let (shards, samples) = match read.await {
        Ok(columns) => columns,
        Err(error) => return Ok(Err(Problem::new(key, format!("cannot be read: {error}")))),
    };
    if shards.len() as u64 != record.quarantined {
        let what = format!("{} samples, committed {}", shards.len(), record.quarantined);
        return Ok(Err(Problem::new(key, what)));
    }
    Ok(match shards.iter().find(|shard| **shard != record.shard) {
        Some(shard) => Err(Problem::new(key, format!("has a sample of shard {shard:05}"))),
        None => Ok(samples.into_iter().flatten().collect()),
    })
}

/// What is planned and not there, or there and not planned, or there too often.
fn compare(key: &str, mut plan: Counts, rows: &[String], failed: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for sample in rows.iter().chain(failed) {
        match plan.get_mut(sample) {
            Some(left) if *left > 0 => *left -= 1,
            Some(_) => problems.push(Problem::new(key, format!("sample {sample} is there once too often"))),
            None => problems.push(Problem::new(key, format!("sample {sample} is not planned"))),
        }
    }
    let mut missing: Vec<_> = plan.into_iter().filter(|(_, left)| *left > 0).collect();
    missing.sort();
    let lost = missing
        .into_iter()
        .map(|(sample, _)| Problem::new(key, format!("sample {sample} is neither committed nor quarantined")));
    problems.extend(lost);
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planned_sample_must_be_there_as_often_as_planned() {
        let plan = || Counts::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let samples = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let wrong = |rows: &[&str], failed: &[&str]| -> Vec<String> {
            let found = compare("key", plan(), &samples(rows), &samples(failed));
            found.into_iter().map(|problem| problem.what).collect()
        };
        assert!(wrong(&["b", "a"], &["b"]).is_empty());
        assert_eq!(wrong(&["a", "b"], &[]), ["sample b is neither committed nor quarantined"]);
        assert_eq!(wrong(&["a", "b", "b"], &["a"]), ["sample a is there once too often"]);
        assert_eq!(wrong(&["a", "b", "b", "c"], &[]), ["sample c is not planned"]);
    }
}
