//! The commit protocol: how a shard comes to exist exactly once.
//!
//! `COMMIT.md` beside this crate's manifest lists every state, every place to die and every answer,
//! each with its test; here is the reasoning.
//!
//! # The steps of an attempt
//!
//! 1. **Data.** Rows go to `data/<shard>-<attempt>.parquet`, failed samples to
//!    `quarantine/<shard>-<attempt>.parquet`. The attempt's name is unique, so nobody else writes
//!    these keys, now or ever, and they may be overwritten, retried or left behind.
//! 2. **Commit.** `commits/<shard>.json` is created on the condition that it does not exist. It
//!    names the data object, its digest, size and rows. From that moment the shard exists.
//! 3. **Manifest.** Whoever finds every shard committed creates `MANIFEST.json` in the same way.
//!    Commits never change, so all who try write the same bytes.
//!
//! # What an answer means
//!
//! | answer to the create | what is done |
//! |---|---|
//! | created | [`Outcome::Committed`] |
//! | anything else at all | the record is read back |
//!
//! An error is no proof that nothing was written: the request may have arrived and its answer been
//! lost; a retry inside the client then meets our own object and reports "already exists"; S3
//! answers 409 to creators that collide although none of them may have won. So every answer but
//! success is settled by one rule, reading the record back:
//!
//! | what is there | outcome |
//! |---|---|
//! | our attempt's record | [`Outcome::Committed`]: the write had arrived |
//! | another attempt's record, same data digest | [`Outcome::AlreadySame`] |
//! | another attempt's record, another digest | [`Outcome::Lost`] |
//! | nothing | not settled: wait, create again |
//! | no answer | not settled: wait, create again |
//!
//! # Why this is safe
//!
//! *Once a record exists it never changes*, since it is only ever created conditionally. So an
//! attempt that reads another's record knows that its own can never appear, and only then deletes
//! its own data. When tries run out unsettled it deletes **nothing**: a create still under way may
//! land after we gave up, and must find its data. What is left behind that way is an orphan that no
//! commit names; readers never see it and `glassctl gc` removes it later.
//!
//! Retrying the create is safe because all creates of one attempt carry the same bytes.
//!
//! # What the store must do
//!
//! Conditional create with one winner (S3 `If-None-Match: *`, hard links on a local disk) and
//! reading one's own writes. A store without these loses the guarantee, which the conformance suite
//! checks by racing creators.

use bytes::Bytes;
use glass_schemas::manifest::Commit;

use crate::answer::{is_denied, is_transient};
use crate::error::{DatasetError, Result};
use crate::store::Store;

/// Creates are tried at least this often before "cannot tell" is reported: a collision that S3
/// answers with 409 needs a second look even where requests are not otherwise retried.
const MIN_ATTEMPTS: u32 = 5;

/// What a conditional create found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object did not exist and now holds our bytes.
    New,
    /// The object was there; these are its bytes.
    Found(Bytes),
}

/// How an attempt at a shard ended. All three are success: the shard exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This attempt's rows are the shard.
    Committed,
    /// Another attempt had committed the same bytes; this one's copy was dropped.
    AlreadySame,
    /// Another attempt had committed other bytes; this one's rows were dropped.
    Lost,
}

/// Creates `key` or finds what is there, whatever the store answers on the way.
///
/// [`Created::New`] also stands for "an earlier try of this very call had arrived": to tell two
/// creators of equal bytes apart, put something unique into them.
///
/// # Errors
/// [`DatasetError::Unsettled`] when neither creating nor reading back came through,
/// [`DatasetError::Denied`] and other errors that another try does not change.
pub async fn create(store: &Store, key: &str, bytes: Bytes) -> Result<Created> {
    let retry = store.retry();
    let attempts = retry.attempts.max(MIN_ATTEMPTS);
    let mut failed = 0;
    loop {
        let create_error = match store.create_once(key, bytes.clone()).await {
            Ok(()) => return Ok(Created::New),
            Err(error) => error,
        };
        let settled = match store.get_raw(key).await {
            Ok(found) if found == bytes => return Ok(Created::New),
            Ok(found) => return Ok(Created::Found(found)),
            Err(object_store::Error::NotFound { .. }) => is_final(&create_error),
            Err(error) => is_denied(&error),
        };
        failed += 1;
        if settled {
            return Err(store.bucket_error(key, create_error));
        }
        if failed >= attempts {
            return Err(DatasetError::Unsettled {
                store: store.uri().to_owned(),
                key: key.to_owned(),
                source: create_error.into(),
            });
        }
        tracing::debug!(key, error = %create_error, failed, "create is not settled, trying again");
        tokio::time::sleep(retry.wait(failed)).await;
    }
}

/// Whether a create that left nothing behind will fail the same way again. "Already exists" with
/// nothing there is the collision of two creators, which passes.
fn is_final(error: &object_store::Error) -> bool {
    !is_transient(error) && !matches!(error, object_store::Error::AlreadyExists { .. })
}

/// Commits one attempt at a shard (step 2) and drops its objects if another attempt's are there.
///
/// # Errors
/// As [`create`]; [`DatasetError::Document`] if the record found is no commit. In every error the
/// attempt's objects stay.
pub(crate) async fn commit_shard(store: &Store, key: &str, commit: &Commit, own_objects: &[String]) -> Result<Outcome> {
    let found = match create(store, key, to_json(key, commit)?).await? {
        Created::New => return Ok(Outcome::Committed),
        Created::Found(found) => from_json::<Commit>(key, &found)?,
    };
    if found.attempt == commit.attempt {
        return Ok(Outcome::Committed);
    }
    for object in own_objects {
        if let Err(error) = store.delete(object).await {
            tracing::warn!(%object, %error, "an object that no commit names stays behind");
        }
    }
    Ok(if found.digest == commit.digest { Outcome::AlreadySame } else { Outcome::Lost })
}

/// A document as it is stored: pretty JSON with a final line break, for people who look.
pub(crate) fn to_json<T: serde::Serialize>(key: &str, document: &T) -> Result<Bytes> {
    let mut bytes = serde_json::to_vec_pretty(document).map_err(|source| document_error(key, source))?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

/// Reads a stored document.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|source| document_error(key, source))
}

fn document_error(key: &str, source: serde_json::Error) -> DatasetError {
    DatasetError::Document { key: key.to_owned(), source }
}
