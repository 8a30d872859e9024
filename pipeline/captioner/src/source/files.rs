//! One object per image.

use std::ops::Range;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use glass_dataset::{DatasetError, Store};
use glass_schemas::ids::ShardIndex;
use glass_stage::{ErrorClass, Failure, Loaded, StageError};

use super::{Listing, Raw, Reader};

/// Objects fetched at once.
const CONCURRENT: usize = 8;

pub(super) struct Files {
    store: Store,
    keys: Vec<String>,
}

impl Files {
    pub(super) fn new(store: Store, listing: &Listing) -> Self {
        Self { store, keys: listing.keys.clone() }
    }

    async fn fetch(&self, key: &str) -> Result<Loaded<Raw>, StageError> {
        match self.store.get(key).await {
            Ok(bytes) => Ok(Ok(Raw { uri: key.to_owned(), bytes })),
            // Listed and gone again: this image's fault alone.
            Err(error @ DatasetError::Missing { .. }) => Ok(Err(Failure::new(key, ErrorClass::Unreadable, error))),
            Err(error) => Err(error.into()),
        }
    }
}

impl Reader for Files {
    fn read(&self, _shard: ShardIndex, range: Range<u64>) -> BoxFuture<'_, Result<Vec<Loaded<Raw>>, StageError>> {
        let keys = self.keys.iter().skip(range.start as usize).take(range.count());
        futures::stream::iter(keys.map(|key| self.fetch(key))).buffered(CONCURRENT).try_collect().boxed()
    }
}
