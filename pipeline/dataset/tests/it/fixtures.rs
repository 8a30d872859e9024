//! Datasets that earlier builds wrote must keep reading, for years.
//!
//! `schemas/fixtures/v1` was made by the stages before image columns became nullable, commits could name
//! another dataset, and identities had licences: one image that could be captioned and one that is cut off.

use std::path::Path;

use glass_dataset::{Columns, Dataset, Store, StoreOptions};
use glass_schemas::dataset::{AttentionRow, CaptionRow, GenerationRow, MaskRow, Row};
use glass_schemas::ids::{DatasetKind, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};

fn store() -> Store {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/fixtures/v1");
    Store::open(folder.to_str().unwrap(), &StoreOptions::default()).unwrap()
}

async fn only(kind: DatasetKind) -> Dataset {
    let store = store();
    let ids = Dataset::list(&store, kind).await.unwrap();
    assert_eq!(ids.len(), 1);
    Dataset::open(&store, &ids[0]).await.unwrap()
}

async fn rows<R: Row>(kind: DatasetKind) -> Vec<R> {
    let dataset = only(kind).await;
    let identity = dataset.identity();
    let named = Identity::new(IdentityParts {
        kind,
        stage: identity.stage.clone(),
        run_seed: identity.run_seed,
        spec: identity.spec.clone(),
        upstream: identity.upstream.clone(),
        weights: identity.weights.clone(),
        shards: identity.shards,
    });
    assert_eq!(named.id, *dataset.id(), "the same spec would not be found again");
    let manifest = dataset.manifest().await.unwrap().unwrap();
    assert_eq!(manifest.shards, [dataset.verify_shard(ShardIndex(0)).await.unwrap()]);
    let batches = dataset.read_shard(ShardIndex(0), Columns::All).await.unwrap();
    batches.iter().flat_map(|batch| R::decode(batch).unwrap()).collect()
}

#[tokio::test]
async fn datasets_of_earlier_builds_read_as_they_were_written() {
    let captions = rows::<CaptionRow>(DatasetKind::Captions).await;
    let drawings = rows::<GenerationRow>(DatasetKind::Generations).await;
    let means = rows::<AttentionRow>(DatasetKind::Attention).await;
    let masks = rows::<MaskRow>(DatasetKind::Masks).await;
    assert_eq!([captions.len(), drawings.len(), means.len(), masks.len()], [1; 4]);
    assert_eq!(drawings[0].source_id, captions[0].sample_id);
    assert_eq!(drawings[0].caption, captions[0].caption);
    assert!(drawings[0].image.bytes.starts_with(b"\x89PNG") || drawings[0].image.bytes.starts_with(b"RIFF"));
    assert_eq!(means[0].sample_id, drawings[0].sample_id);
    assert_eq!(masks[0].sample_id, drawings[0].sample_id);
    assert!(masks[0].mask.bytes.starts_with(b"\x89PNG"));
    let failed = only(DatasetKind::Captions).await.quarantine(ShardIndex(0)).await.unwrap();
    assert_eq!(failed.iter().map(|row| row.item.as_str()).collect::<Vec<_>>(), ["00003.jpg"]);
}
