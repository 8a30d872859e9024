//! Why a stage stopped.

use glass_dataset::DatasetError;
use glass_schemas::ids::ShardIndex;

/// The result of the fallible functions of this crate.
pub type Result<T, E = StageError> = std::result::Result<T, E>;

/// Why a stage stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The store or a dataset in it; transient ones were retried before.
    #[error(transparent)]
    Dataset(#[from] DatasetError),

    /// More of a shard's samples failed than broken samples explain.
    #[error(
        "shard `{shard}`: {failed} of {seen} samples failed, most often (`{count}` times) with {class}: {message} (`{item}`)"
    )]
    Systematic {
        /// The shard.
        shard: ShardIndex,
        /// Samples that failed.
        failed: usize,
        /// Samples seen in this shard.
        seen: usize,
        /// How many had the commonest error.
        count: usize,
        /// Class of the commonest error.
        class: &'static str,
        /// Its message.
        message: String,
        /// One item that had it.
        item: String,
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
