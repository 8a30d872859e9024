//! Why a stage stopped.

use glass_dataset::DatasetError;
use glass_schemas::SchemaError;
use glass_schemas::ids::ShardIndex;

use crate::failure::ErrorClass;

/// The result of the fallible functions of this crate.
pub type Result<T, E = StageError> = std::result::Result<T, E>;

/// Why a stage stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The store or a dataset in it; transient ones were retried before.
    #[error(transparent)]
    Dataset(#[from] DatasetError),

    /// Rows or documents do not fit their schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),

    /// More of a shard's samples failed than broken samples explain.
    #[error(
        "{failed} of {seen} samples failed up to shard `{shard}`, {count} of them with {class}: {message} (`{item}`)"
    )]
    Systematic {
        /// The shard.
        shard: ShardIndex,
        /// Samples that failed.
        failed: usize,
        /// Samples seen.
        seen: usize,
        /// How many had the commonest error.
        count: usize,
        /// Class of the commonest error.
        class: ErrorClass,
        /// Its message.
        message: String,
        /// One item that had it.
        item: String,
    },

    /// What an earlier attempt put aside could not be read; the shard is made without it.
    #[error("what was put aside of shard `{shard}` cannot be taken up")]
    Spill {
        /// The shard.
        shard: ShardIndex,
        /// Why.
        source: DatasetError,
    },

    /// The inputs of a shard could not be read, for a reason that another attempt does not change.
    #[error("the inputs of shard `{shard}` cannot be read")]
    Source {
        /// The shard.
        shard: ShardIndex,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The rows of a shard could not be encoded.
    #[error("rows cannot be encoded")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The worker broke the contract of [`crate::Worker::process`].
    #[error("the worker returned {returned} results for {given} samples of shard `{shard}`")]
    ResultCount {
        /// The shard.
        shard: ShardIndex,
        /// Samples handed over.
        given: usize,
        /// Results that came back.
        returned: usize,
    },

    /// The encoding function broke its contract.
    #[error("the encoding function made {returned} record batches for {expected} datasets")]
    BatchCount {
        /// Output datasets.
        expected: usize,
        /// Record batches made.
        returned: usize,
    },

    /// The network could not be loaded.
    #[error("the worker cannot be made")]
    Worker(#[source] anyhow::Error),

    /// The worker's thread panicked.
    #[error("the worker panicked: {0}")]
    Panicked(String),

    /// The flags or the environment name no valid worker slot.
    #[error("{0}")]
    Slot(String),
}

impl StageError {
    /// Whether the same step may succeed later without anything being changed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dataset(error) => error.is_transient(),
            Self::Spill { .. } => true,
            _ => false,
        }
    }

    /// Whether the user's input has to change.
    pub(crate) fn is_user_input(&self) -> bool {
        match self {
            Self::Slot(_) => true,
            Self::Systematic { class, .. } => {
                matches!(class, ErrorClass::Unreadable | ErrorClass::Unsupported)
            }
            _ => false,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Systematic { .. } => {
                "so many failures are rarely the samples' fault; nothing of this shard was committed"
            }
            Self::Slot(_) => "give --index and --count, or neither",
            Self::Panicked(_) => "this is a bug; the shards committed so far are safe",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
