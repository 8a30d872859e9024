//! Finding the dataset a run spec stands for.

use std::collections::HashSet;

use glass_schemas::ids::{DatasetId, DatasetKind};
use glass_schemas::manifest::Identity;
use glass_schemas::spec::RunSpec;

use crate::dataset::Dataset;
use crate::error::{DatasetError, Result};
use crate::store::Store;

impl Dataset {
    /// The one dataset of `kind` that was made with this run spec. A stage finds its input so,
    /// without the weights or the images that made it: along the chain of stages, each dataset
    /// must have its stage's part of the spec, the spec's seed and the dataset before it. Of a source
    /// that grew at its end, the dataset of the longest listing is meant.
    ///
    /// # Errors
    /// [`DatasetError::NotMade`] if there is none, [`DatasetError::Ambiguous`] if there are
    /// several (the same spec with other weights or another source listing).
    pub async fn find(store: &Store, kind: DatasetKind, spec: &RunSpec) -> Result<Self> {
        let chain: &[DatasetKind] = match kind {
            DatasetKind::Captions => &[DatasetKind::Captions],
            DatasetKind::Generations => &[DatasetKind::Captions, DatasetKind::Generations],
            DatasetKind::Attention => &[DatasetKind::Captions, DatasetKind::Attention],
            DatasetKind::Masks => &[DatasetKind::Captions, DatasetKind::Attention, DatasetKind::Masks],
        };
        let mut found = Self::find_one(store, chain[0], spec, None).await?;
        for &kind in &chain[1..] {
            let upstream = found.id().clone();
            found = Self::find_one(store, kind, spec, Some(&upstream)).await?;
        }
        Ok(found)
    }

    async fn find_one(store: &Store, kind: DatasetKind, spec: &RunSpec, upstream: Option<&DatasetId>) -> Result<Self> {
        let mut found = Vec::new();
        for id in Self::list(store, kind).await? {
            let dataset = Self::open(store, &id).await?;
            if made_with(dataset.identity(), kind, spec, upstream) {
                found.push(dataset);
            }
        }
        if found.len() > 1 {
            let mut extended = HashSet::new();
            for dataset in &found {
                extended.extend(dataset.extends().await?);
            }
            // Of a source that grew, the spec means what it holds now.
            found.retain(|dataset| !extended.contains(dataset.id()));
        }
        match found.len() {
            0 => Err(DatasetError::NotMade { store: store.uri().to_owned(), kind }),
            1 => Ok(found.swap_remove(0)),
            _ => Err(DatasetError::Ambiguous { kind, ids: found.iter().map(|dataset| dataset.id().clone()).collect() }),
        }
    }
}

fn made_with(identity: &Identity, kind: DatasetKind, spec: &RunSpec, upstream: Option<&DatasetId>) -> bool {
    // Only what is drawn at random depends on the seed.
    let drawn = matches!(kind, DatasetKind::Generations | DatasetKind::Attention);
    identity.spec == spec.identity_of(kind)
        && (!drawn || identity.run_seed == spec.seed)
        && upstream.is_none_or(|id| identity.upstream.contains(id))
}
