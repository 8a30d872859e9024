//! The one error of this crate.

use glass_schemas::SchemaError;
use glass_schemas::ids::{DatasetId, DatasetKind, Digest, ShardIndex};

use crate::answer::{Answer, advice, is_transient, is_wrong_address};

/// The result of the fallible functions of this crate.
pub type Result<T, E = DatasetError> = std::result::Result<T, E>;

/// What can go wrong with a store or a dataset in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The store's URI or its options are not usable as given.
    #[error("cannot use `{uri}` as a store: {message}")]
    InvalidStore {
        /// The URI as given.
        uri: String,
        /// What is wrong with it.
        message: String,
    },

    /// The credentials for a store cannot be used as they are.
    #[error("cannot use the credentials for `{uri}`: {message}")]
    Credentials {
        /// The store's URI.
        uri: String,
        /// What is wrong with them, without what stands in them.
        message: String,
    },

    /// There is no such bucket or container.
    #[error("there is no bucket `{bucket}`")]
    NoBucket {
        /// The beginning of the store's URI.
        bucket: String,
    },

    /// The store refuses this user: credentials, permissions, a read-only disk, a file in the way.
    #[error("no access to `{key}` in the store `{store}`")]
    Denied {
        /// The store's URI.
        store: String,
        /// The object.
        key: String,
        /// The store's answer.
        source: Answer,
    },

    /// An object that should be there is not.
    #[error("there is no `{key}` in the store `{store}`")]
    Missing {
        /// The store's URI.
        store: String,
        /// The object.
        key: String,
    },

    /// The store failed; retries are over.
    #[error("the store `{store}` failed at `{key}`")]
    Store {
        /// The store's URI.
        store: String,
        /// The object.
        key: String,
        /// The store's answer.
        source: Answer,
    },

    /// No dataset in the store was made with this spec.
    #[error("the store `{store}` holds no {kind} dataset made with this run spec")]
    NotMade {
        /// The store's URI.
        store: String,
        /// What was looked for.
        kind: DatasetKind,
    },

    /// Several datasets were made with this spec, from other weights or another source listing.
    #[error("several {kind} datasets were made with this run spec: {}", join(ids))]
    Ambiguous {
        /// What was looked for.
        kind: DatasetKind,
        /// The candidates.
        ids: Vec<DatasetId>,
    },

    /// A dataset was named that holds something else.
    #[error("`{id}` is no {expected} dataset")]
    OtherKind {
        /// The dataset named.
        id: DatasetId,
        /// What is needed.
        expected: DatasetKind,
    },

    /// It is not known whether a record was created: neither the write nor the reading back came
    /// through. Nothing was deleted; run again.
    #[error("cannot tell whether `{key}` was created in the store `{store}`")]
    Unsettled {
        /// The store's URI.
        store: String,
        /// The record.
        key: String,
        /// The last answer.
        source: Answer,
    },

    /// The store holds no dataset of this name.
    #[error("there is no dataset `{id}` in the store `{store}`")]
    UnknownDataset {
        /// The store's URI.
        store: String,
        /// The dataset asked for.
        id: DatasetId,
    },

    /// The dataset was written by a build with other tables.
    #[error("dataset `{id}` has schema version {found}, this build reads {expected}")]
    OtherVersion {
        /// The dataset.
        id: DatasetId,
        /// Its version.
        found: u32,
        /// Ours.
        expected: u32,
    },

    /// `SPEC.json` is there and says something else than the identity that has its name.
    #[error("dataset `{id}` in the store `{store}` was made by something else: its SPEC.json differs")]
    OtherIdentity {
        /// The store's URI.
        store: String,
        /// The dataset.
        id: DatasetId,
    },

    /// A shard that no attempt has committed.
    #[error("shard `{shard}` of dataset `{id}` is not committed")]
    NotCommitted {
        /// The dataset.
        id: DatasetId,
        /// The shard.
        shard: ShardIndex,
    },

    /// A shard number outside the dataset's plan.
    #[error("dataset `{id}` has {shards} shards, there is no `{shard}`")]
    NoSuchShard {
        /// The dataset.
        id: DatasetId,
        /// The shard asked for.
        shard: ShardIndex,
        /// Shards in the plan.
        shards: u32,
    },

    /// An object does not hold the bytes its commit promises.
    #[error("`{key}` is damaged: expected {expected}, found {found}")]
    Damaged {
        /// The object.
        key: String,
        /// What the commit says.
        expected: String,
        /// What is there.
        found: String,
    },

    /// A document in the store is not what it should be.
    #[error("cannot read the document `{key}`")]
    Document {
        /// The object.
        key: String,
        /// Where it breaks.
        source: serde_json::Error,
    },

    /// Parquet refused to write or read an object.
    #[error("cannot read or write the table `{key}`")]
    Parquet {
        /// The object.
        key: String,
        /// Parquet's own words.
        source: parquet::errors::ParquetError,
    },

    /// A column asked for is not in the table.
    #[error("the table `{key}` has no column `{column}`")]
    NoColumn {
        /// The object.
        key: String,
        /// The column.
        column: String,
    },

    /// Rows do not fit their table.
    #[error(transparent)]
    Schema(#[from] SchemaError),

    /// A blocking task was lost to a panic or to the runtime's end.
    #[error("a background task for `{key}` was lost")]
    Task {
        /// The object it worked on.
        key: String,
        /// Why.
        source: tokio::task::JoinError,
    },
}

impl DatasetError {
    /// Whether the same call may succeed later without anything being changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } => is_transient(source.error()),
            Self::Unsettled { .. } => true,
            _ => false,
        }
    }

    /// Whether the user's input has to change: store, credentials, dataset name.
    pub fn is_user_input(&self) -> bool {
        if let Self::Store { source, .. } = self {
            return is_wrong_address(source.error());
        }
        matches!(
            self,
            Self::InvalidStore { .. }
                | Self::Credentials { .. }
                | Self::NoBucket { .. }
                | Self::Denied { .. }
                | Self::UnknownDataset { .. }
                | Self::OtherVersion { .. }
                | Self::OtherIdentity { .. }
                | Self::NotMade { .. }
                | Self::Ambiguous { .. }
                | Self::OtherKind { .. }
                | Self::NotCommitted { .. }
                | Self::NoSuchShard { .. }
        )
    }

    /// What the user can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        if let Self::Denied { source, .. } = self
            && let Some(advice) = advice(source.error())
        {
            return Some(advice.to_owned());
        }
        let text = match self {
            Self::InvalidStore { .. } => {
                "a store is a folder, file://<folder>, memory://, or {s3,gs,az}://<bucket>/<prefix>"
            }
            Self::Credentials { uri, .. } if uri.starts_with("gs://") => {
                "GOOGLE_APPLICATION_CREDENTIALS names the key file that Google gave, or `gcloud auth application-default login` makes one"
            }
            Self::Credentials { uri, .. } if uri.starts_with("az://") => {
                "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_STORAGE_CONNECTION_STRING"
            }
            Self::Credentials { .. } => "AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, or a profile of ~/.aws",
            Self::NoBucket { bucket } if bucket.starts_with("s3://") => {
                "create it, or check its name, AWS_REGION and the endpoint (AWS_ENDPOINT_URL or `store.endpoint`)"
            }
            Self::NoBucket { .. } => "create it, or check its name and the endpoint (`store.endpoint`)",
            Self::Denied { store, .. } if store.starts_with("s3://") => {
                "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, and that this user may read, list, write and delete in the bucket"
            }
            Self::Denied { store, .. } if store.starts_with("gs://") => {
                "check GOOGLE_APPLICATION_CREDENTIALS and that the account may read, list, write and delete in the bucket"
            }
            Self::Denied { store, .. } if store.starts_with("az://") => {
                "check AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or another credential of the account)"
            }
            Self::Denied { .. } => "check that the folder can be created and written",
            Self::UnknownDataset { .. } => {
                "run the stage that makes it, or check --store; `glassctl status` lists what is there"
            }
            Self::NotMade { .. } => "run the stage that makes it first, with the same spec, seed and `--set` flags",
            Self::Ambiguous { .. } => "say which one with --upstream",
            Self::OtherVersion { .. } => "use the release that wrote it, or make the dataset again",
            Self::OtherIdentity { .. } => "move the old dataset away or use another store",
            Self::NotCommitted { .. } => "run the stage that makes this dataset to its end first",
            Self::Damaged { .. } => {
                "`glassctl verify` lists what is damaged: put a copy of these objects back, or make the dataset again in another store"
            }
            Self::Unsettled { .. } => "run the same command again: nothing was lost",
            Self::Store { source, .. } => match advice(source.error()) {
                Some(advice) => advice,
                None if is_transient(source.error()) => "the store may be busy or away; run again",
                None => return None,
            },
            _ => return None,
        };
        Some(text.to_owned())
    }

    pub(crate) fn damaged_digest(key: &str, expected: &Digest, found: &Digest) -> Self {
        Self::Damaged { key: key.to_owned(), expected: format!("sha256 {expected}"), found: found.to_string() }
    }
}

fn join(ids: &[DatasetId]) -> String {
    let names: Vec<_> = ids.iter().map(|id| format!("`{id}`")).collect();
    names.join(", ")
}
