//! Finding the dataset a spec stands for.

use glass_schemas::ids::{DatasetId, DatasetKind};
use serde_json::Value;

use crate::dataset::Dataset;
use crate::error::{DatasetError, Result};
use crate::store::Store;

impl Dataset {
    /// The one dataset of `kind` that was made with this spec (`RunSpec::identity_of`) from this
    /// upstream. A stage finds its input so, without the weights or the images that made it.
    ///
    /// # Errors
    /// [`DatasetError::NotMade`] if there is none, [`DatasetError::Ambiguous`] if there are
    /// several (the same spec with other weights or another source listing).
    pub async fn find(
        store: &Store,
        kind: DatasetKind,
        spec: &Value,
        upstream: Option<&DatasetId>,
    ) -> Result<Self> {
        let mut found = Vec::new();
        for id in Self::list(store, kind).await? {
            let dataset = Self::open(store, &id).await?;
            let identity = dataset.identity();
            let same_upstream = upstream.is_none_or(|id| identity.upstream.contains(id));
            if identity.spec == *spec && same_upstream {
                found.push(dataset);
            }
        }
        match found.len() {
            0 => Err(DatasetError::NotMade {
                store: store.uri().to_owned(),
                kind,
            }),
            1 => Ok(found.swap_remove(0)),
            _ => Err(DatasetError::Ambiguous {
                kind,
                ids: found.iter().map(|dataset| dataset.id().clone()).collect(),
            }),
        }
    }
}
