//! Objects that nothing needs: what attempts left behind that died, lost or could not tell.
//!
//! An object is rubbish when no commit names it, it cannot become named any more, and it is older
//! than a grace period. The order of the look-ups is what makes this safe: objects are listed
//! *first*, commits read *afterwards*, so that an object committed in between is found named. What
//! is left is an attempt that commits after the commits were read, an object older than the grace
//! period: an attempt uploads its data minutes before its commit, so a grace period of an hour or
//! more is far beyond it. [`remove`] reads the shard's commit once more all the same.

use std::collections::{HashMap, HashSet, hash_map};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::stream::TryStreamExt;
use glass_schemas::ids::{DatasetId, DatasetKind, ShardIndex};
use glass_schemas::manifest::Commit;

use crate::attempt::Attempt;
use crate::dataset::Dataset;
use crate::error::{DatasetError, Result};
use crate::layout::{shard_of_commit, shard_of_object, shard_of_spill};
use crate::store::{Entry, Store, UnfinishedUpload};

/// The shortest grace period that is accepted: attempts that live may be this far behind.
pub const MIN_GRACE: Duration = Duration::from_secs(3600);

/// The same for uploads in parts: one is open for as long as its shard is being made.
pub const MIN_UPLOAD_GRACE: Duration = Duration::from_secs(24 * 3600);

/// Why an object is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Rows or quarantine of an attempt whose shard another attempt committed.
    LostAttempt,
    /// Rows or quarantine of an attempt that ended before its commit.
    UncommittedAttempt,
    /// A part of a shard that was put aside, and the shard is committed or the part was not finished.
    Spill,
    /// A claim to a shard that nobody renews.
    Lease,
    /// A file that a process was writing when it died (local disk).
    UnfinishedFile,
    /// Parts of an object that was never completed (S3); their size is not known.
    UnfinishedUpload,
}

impl Kind {
    /// The name used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LostAttempt => "lost attempt",
            Self::UncommittedAttempt => "uncommitted attempt",
            Self::Spill => "spill",
            Self::Lease => "lease",
            Self::UnfinishedFile => "unfinished file",
            Self::UnfinishedUpload => "unfinished upload",
        }
    }
}

/// An object that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rubbish {
    /// Its key below the store's root.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Why it is not needed.
    pub kind: Kind,
    dataset: DatasetId,
    shard: Option<ShardIndex>,
    file: Option<PathBuf>,
    upload: Option<UnfinishedUpload>,
}

/// By whose clock the age of an object is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// This machine's: good enough to look.
    Here,
    /// The store's, which also says when objects were written. It is asked by writing a small object,
    /// so that a machine whose clock is a day ahead does not remove what is under way.
    Store,
    /// As if it were this moment, in seconds since 1970.
    At(i64),
}

/// Whether an object went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Gone,
    /// A commit names it now; it stays.
    Kept,
}

/// What of a dataset is older than `grace` by this clock and not needed, sorted by key. Nothing is
/// removed.
///
/// Memory grows with the number of shards, as a plan does, and with the rubbish.
///
/// # Errors
/// The store's errors; [`DatasetError::Document`] for a commit that cannot be read, in which case
/// nothing of the dataset may be called rubbish.
pub async fn find(dataset: &Dataset, grace: Duration, clock: Clock) -> Result<Vec<Rubbish>> {
    let now = now(dataset, clock).await?;
    let before = now.saturating_sub(seconds(grace.max(MIN_GRACE)));
    let old = |entry: &Entry| entry.modified < before;
    let mut listed = Vec::new();
    for folder in ["data", "quarantine"] {
        let prefix = dataset.layout().absolute(folder);
        let entries = dataset.store().list(&prefix);
        listed.extend(entries.try_filter(|entry| std::future::ready(old(entry))).try_collect::<Vec<_>>().await?);
    }
    let spills = spills(dataset).await?;
    let leases = leases(dataset, old).await?;
    let mut named = HashMap::new();
    let shards = dataset.committed().await?;
    let mut commits = std::pin::pin!(dataset.commits(shards));
    while let Some(commit) = commits.try_next().await? {
        named.insert(commit.shard, vec![commit]);
    }
    for shard in dataset.retries().await?.into_keys() {
        if let hash_map::Entry::Occupied(mut parts) = named.entry(shard) {
            parts.insert(dataset.parts(shard).await?);
        }
    }
    let mut rubbish: Vec<Rubbish> = listed.into_iter().filter_map(|entry| judge(dataset, &named, entry)).collect();
    rubbish.extend(spills.into_iter().filter_map(|spill| {
        let spent = named.contains_key(&spill.shard) || !spill.recorded;
        (spent && old(&spill.entry)).then(|| of_shard(dataset, spill.entry, Kind::Spill, spill.shard))
    }));
    rubbish.extend(leases.into_iter().map(|(shard, entry)| of_shard(dataset, entry, Kind::Lease, shard)));
    for (file, entry) in dataset.store().unfinished_files(&dataset.id().path()) {
        if old(&entry) {
            rubbish.push(Rubbish {
                key: entry.key,
                bytes: entry.bytes,
                kind: Kind::UnfinishedFile,
                dataset: dataset.id().clone(),
                shard: None,
                file: Some(file),
                upload: None,
            });
        }
    }
    let before = now.saturating_sub(seconds(grace.max(MIN_UPLOAD_GRACE)));
    for upload in unfinished_uploads(dataset).await? {
        if upload.begun < before {
            rubbish.push(Rubbish {
                key: upload.key.clone(),
                bytes: 0,
                kind: Kind::UnfinishedUpload,
                dataset: dataset.id().clone(),
                shard: None,
                file: None,
                upload: Some(upload),
            });
        }
    }
    rubbish.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(rubbish)
}

/// Uploads that were not completed; none if the user may not ask.
async fn unfinished_uploads(dataset: &Dataset) -> Result<Vec<UnfinishedUpload>> {
    match dataset.store().unfinished_uploads(&dataset.id().path()).await {
        Err(error @ DatasetError::Denied { .. }) => {
            tracing::warn!(%error, "unfinished uploads are left out");
            Ok(Vec::new())
        }
        result => result,
    }
}

/// Seconds since 1970.
async fn now(dataset: &Dataset, clock: Clock) -> Result<i64> {
    match clock {
        Clock::Here => Ok(seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())),
        Clock::At(moment) => Ok(moment),
        Clock::Store => {
            let key = dataset.layout().absolute(&format!("clock-{}", Attempt::new()));
            dataset.store().time(&key).await
        }
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Rubbish, unless a commit names it or it is none of ours.
fn judge(dataset: &Dataset, named: &HashMap<ShardIndex, Vec<Commit>>, entry: Entry) -> Option<Rubbish> {
    let shard = shard_of_object(&entry.key)?;
    let kind = match named.get(&shard) {
        Some(parts) if names(dataset, parts, &entry.key) => return None,
        Some(_) => Kind::LostAttempt,
        None => Kind::UncommittedAttempt,
    };
    Some(of_shard(dataset, entry, kind, shard))
}

fn of_shard(dataset: &Dataset, entry: Entry, kind: Kind, shard: ShardIndex) -> Rubbish {
    Rubbish {
        key: entry.key,
        bytes: entry.bytes,
        kind,
        dataset: dataset.id().clone(),
        shard: Some(shard),
        file: None,
        upload: None,
    }
}

/// An object of a spill.
struct SpillObject {
    entry: Entry,
    shard: ShardIndex,
    /// Whether its record is there: a part that is put aside whole.
    recorded: bool,
}

/// Every object of a spill, whatever its age. A spill of a shard that is not committed may be taken
/// up by the next attempt, next week as well.
async fn spills(dataset: &Dataset) -> Result<Vec<SpillObject>> {
    let folder = dataset.layout().absolute("spills");
    let entries: Vec<Entry> = dataset.store().list(&folder).try_collect().await?;
    let records: HashSet<String> =
        entries.iter().filter_map(|entry| entry.key.strip_suffix(".json").map(str::to_owned)).collect();
    let object = |entry: Entry| {
        let shard = shard_of_spill(&entry.key)?;
        let recorded = match entry.key.strip_suffix(".parquet") {
            Some(stem) => records.contains(stem),
            None => true,
        };
        Some(SpillObject { entry, shard, recorded })
    };
    Ok(entries.into_iter().filter_map(object).collect())
}

/// Leases old enough that nobody believes them any more.
async fn leases(dataset: &Dataset, old: impl Fn(&Entry) -> bool) -> Result<Vec<(ShardIndex, Entry)>> {
    let folder = dataset.layout().leases();
    let entries: Vec<Entry> = dataset.store().list(&folder).try_collect().await?;
    let of_ours = |entry: Entry| Some((shard_of_commit(&entry.key)?, entry));
    Ok(entries.into_iter().filter(old).filter_map(of_ours).collect())
}

fn names(dataset: &Dataset, parts: &[Commit], key: &str) -> bool {
    let objects = parts.iter().flat_map(|part| {
        let relative = [Some(&part.data_key), part.quarantine_key.as_ref()];
        let of = part.dataset.as_ref();
        relative.into_iter().flatten().map(move |relative| dataset.layout().object(of, relative))
    });
    objects.into_iter().any(|object| object == key)
}

/// Removes one object, unless its shard's commit names it by now.
///
/// # Errors
/// The store's errors.
pub async fn remove(store: &Store, rubbish: &Rubbish) -> Result<Removed> {
    if let Some(file) = &rubbish.file {
        return match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let source = object_store::Error::Generic { store: "local", source: error.into() };
                Err(store.error(&rubbish.key, source))
            }
            _ => Ok(Removed::Gone),
        };
    }
    if let Some(upload) = &rubbish.upload {
        return store.abort_upload(upload).await.map(|()| Removed::Gone);
    }
    if let Some(shard) = rubbish.shard {
        let dataset = Dataset::open(store, &rubbish.dataset).await?;
        match dataset.parts(shard).await {
            Ok(parts) if names(&dataset, &parts, &rubbish.key) => return Ok(Removed::Kept),
            Ok(_) | Err(DatasetError::NotCommitted { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    store.delete(&rubbish.key).await.map(|()| Removed::Gone)
}

/// Every dataset of a store, kind by kind.
///
/// # Errors
/// The store's errors.
pub async fn datasets(store: &Store) -> Result<Vec<DatasetId>> {
    let mut ids = Vec::new();
    for kind in DatasetKind::ALL {
        ids.extend(Dataset::list(store, kind).await?);
    }
    Ok(ids)
}
