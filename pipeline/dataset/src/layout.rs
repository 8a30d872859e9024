//! Where the objects of a dataset are; the only place that knows.

use glass_schemas::ids::{DatasetId, ShardIndex};

use crate::attempt::Attempt;

/// Keys below the store's root.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: String,
}

impl Layout {
    pub(crate) fn new(id: &DatasetId) -> Self {
        Self { root: id.path() }
    }

    /// The key of an object named in a commit, which is relative to the dataset.
    pub(crate) fn absolute(&self, relative: &str) -> String {
        format!("{}/{relative}", self.root)
    }

    /// The key of an object that a record names: of this dataset, or of the one it was adopted from.
    pub(crate) fn object(&self, of: Option<&DatasetId>, relative: &str) -> String {
        match of {
            None => self.absolute(relative),
            Some(id) => Self::new(id).absolute(relative),
        }
    }

    pub(crate) fn card(&self) -> String {
        self.absolute("README.md")
    }

    pub(crate) fn extends(&self) -> String {
        self.absolute("EXTENDS.json")
    }

    pub(crate) fn spec(&self) -> String {
        self.absolute("SPEC.json")
    }

    pub(crate) fn manifest(&self) -> String {
        self.absolute("MANIFEST.json")
    }

    pub(crate) fn commits(&self) -> String {
        self.absolute("commits")
    }

    pub(crate) fn commit(&self, shard: ShardIndex) -> String {
        format!("{}/commits/{shard}.json", self.root)
    }

    pub(crate) fn retries(&self) -> String {
        self.absolute("retries")
    }

    pub(crate) fn leases(&self) -> String {
        self.absolute("leases")
    }

    pub(crate) fn lease(&self, shard: ShardIndex) -> String {
        format!("{}/leases/{shard}.json", self.root)
    }

    pub(crate) fn all_spills(&self) -> String {
        self.absolute("spills")
    }

    pub(crate) fn spills(&self, shard: ShardIndex) -> String {
        format!("{}/spills/{shard}", self.root)
    }

    pub(crate) fn spill(&self, shard: ShardIndex, start: u64, attempt: &str) -> String {
        format!("{}/spills/{shard}/{start}-{attempt}.json", self.root)
    }

    /// `round` counts from 1.
    pub(crate) fn retry(&self, shard: ShardIndex, round: u32) -> String {
        format!("{}/retries/{shard}-{round}.json", self.root)
    }
}

/// Key of a shard's rows, relative to the dataset.
pub(crate) fn data_key(shard: ShardIndex, attempt: &Attempt) -> String {
    format!("data/{shard}-{attempt}.parquet")
}

/// Key of a shard's failed samples, relative to the dataset.
pub(crate) fn quarantine_key(shard: ShardIndex, attempt: &Attempt) -> String {
    format!("quarantine/{shard}-{attempt}.parquet")
}

/// Key of the rows of a spill, relative to the dataset; its record is beside it.
pub(crate) fn spill_key(shard: ShardIndex, start: u64, attempt: &Attempt) -> String {
    format!("spills/{shard}/{start}-{attempt}.parquet")
}

/// The shard an object of a spill belongs to; `None` for any other object.
pub(crate) fn shard_of_spill(key: &str) -> Option<ShardIndex> {
    let mut parts = key.rsplit('/');
    let name = parts.next()?;
    let known = name.ends_with(".parquet") || name.ends_with(".json");
    let digits = parts.next()?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (known && plain && parts.next()? == "spills").then(|| digits.parse().ok().map(ShardIndex))?
}

/// The shard a commit record is for; `None` for any other object.
pub(crate) fn shard_of_commit(key: &str) -> Option<ShardIndex> {
    let name = key.rsplit('/').next()?;
    let digits = name.strip_suffix(".json")?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(ShardIndex))?
}

/// The shard and the round that a retry's record is for; `None` for any other object.
pub(crate) fn retry_of_record(key: &str) -> Option<(ShardIndex, u32)> {
    let name = key.rsplit('/').next()?.strip_suffix(".json")?;
    let (shard, round) = name.split_once('-')?;
    let number = |digits: &str| -> Option<u32> {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    Some((ShardIndex(number(shard)?), number(round)?))
}

/// The shard an object of an attempt belongs to; `None` for any other object.
pub(crate) fn shard_of_object(key: &str) -> Option<ShardIndex> {
    let name = key.rsplit('/').next()?.strip_suffix(".parquet")?;
    let (digits, attempt) = name.split_once('-')?;
    let attempt = attempt.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && attempt).then(|| digits.parse().ok().map(ShardIndex))?
}
