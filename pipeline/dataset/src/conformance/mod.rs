//! What a store must do before a dataset may be trusted to it, and whether it does.
//!
//! Everything in [`crate::commit`] rests on a few promises of the store. Some servers and some
//! file systems break them without an error: two creators of one object both hear "created", a
//! listing misses what was just written. So a store is asked, not believed: [`check`] races
//! creators, reads back what it wrote and takes a small dataset through its life, below a prefix
//! of its own that it removes again.
//!
//! [`Depth::Short`] takes some tens of requests and is meant for the minute before a long job;
//! [`Depth::Full`] is the suite that every store of this project is tested with.

mod datasets;
mod objects;
mod races;

use futures::stream::{self, StreamExt};

use crate::answer::told;
use crate::attempt::Attempt;
use crate::error::Result;
use crate::store::Store;

/// How much is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What breaks in stores that are not fit: some tens of small requests.
    Short,
    /// Everything: about two thousand requests and 30 MB.
    Full,
}

/// One promise and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The promise, e.g. `of racing creators one wins`.
    pub promise: &'static str,
    /// What was seen instead, if it was broken.
    pub broken: Option<String>,
}

/// What a store did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every promise that was tested, in order.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether every promise was kept.
    pub fn conforms(&self) -> bool {
        self.checks.iter().all(|check| check.broken.is_none())
    }
}

/// What a check saw: the store failed, or it answered and the answer is wrong.
enum Broken {
    Answer(String),
    Store(crate::DatasetError),
}

type Verdict = Result<(), Broken>;

impl From<crate::DatasetError> for Broken {
    fn from(error: crate::DatasetError) -> Self {
        Self::Store(error)
    }
}

/// A wrong answer, unless `kept`.
fn expect(kept: bool, seen: impl FnOnce() -> String) -> Verdict {
    match kept {
        true => Ok(()),
        false => Err(Broken::Answer(seen())),
    }
}

/// Tests what a store promises, below a new prefix that is empty again afterwards.
///
/// A promise that is broken is part of the report. Later checks run even so, except that nothing
/// further is asked of a store that cannot be written at all or fails at once.
///
/// # Errors
/// [`crate::DatasetError::NoBucket`], [`crate::DatasetError::Denied`] and others that the user mends: the
/// store cannot be written as it is given, so that nothing is known about it;
/// [`crate::DatasetError::Store`]: it fails.
pub async fn check(store: &Store, depth: Depth) -> Result<Report> {
    let place = store.below(&format!(".conformance/{}", Attempt::new()));
    let mut checks = Vec::new();
    let result = run(&place, depth, &mut checks).await;
    remove(&place).await;
    result.map(|()| Report { checks })
}

async fn run(place: &Store, depth: Depth, checks: &mut Vec<Check>) -> Result<()> {
    let mut note = |promise, verdict: Verdict| {
        let broken = match verdict {
            Ok(()) => None,
            // Nothing is known of a store that fails at once, and asking on would only take time.
            Err(Broken::Store(error)) if error.is_user_input() || checks.is_empty() => {
                return Err(error);
            }
            Err(Broken::Store(error)) => Some(told(&error)),
            Err(Broken::Answer(seen)) => Some(seen),
        };
        checks.push(Check { promise, broken });
        Ok(())
    };
    note("what was written is read and listed at once", objects::reads_its_writes(place).await)?;
    note("a missing object is told from a failing store", objects::missing_is_missing(place).await)?;
    note("a range is that range", objects::ranges(place).await)?;
    note("an existing object is not created again", races::refuses_a_second_creator(place).await)?;
    note("of racing creators one wins", races::one_winner(place, depth).await)?;
    if depth == Depth::Full {
        note("a listing is complete beyond a page", objects::long_listing(place).await)?;
        note("an upload in parts is whole or not there", objects::parts(place).await)?;
        note("racing workers leave one shard", datasets::racing_workers(place).await)?;
        note("a dataset goes through its life", datasets::life(place).await)?;
    }
    Ok(())
}

/// Removes what the checks left; a store that fails here has been reported on already.
async fn remove(place: &Store) {
    let keys = place.list_keys("").await.unwrap_or_default();
    let removed = stream::iter(keys).map(|key| async move { (place.delete(&key).await, key) }).buffer_unordered(16);
    removed
        .for_each(|(result, key)| async move {
            if let Err(error) = result {
                tracing::warn!(key, %error, "an object of the store check stays behind");
            }
        })
        .await;
}
