//! The program itself on a store with two small shards of attention.

use std::path::Path;
use std::process::{Command, Output};

use glass_attention_mask_extractor::refine::UNCERTAIN;
use glass_dataset::{Columns, Dataset, Store, StoreOptions};
use glass_schemas::dataset::{AttentionMap, AttentionRow, CaptionRow, ClassLabel, MapKind, MaskRow, Part, Row};
use glass_schemas::ids::{DatasetId, DatasetKind, Digest, SampleId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_schemas::spec::RunSpec;

use crate::formula::{cross_map, self_map};

const SPEC: &str = r#"
version = 1
name = "masks"
[generator]
cross_resolutions = [8]
self_resolutions = [8]
[masks]
cross_resolutions = [8]
self_resolution = 8
power = 1
"#;

fn map(kind: MapKind, part: Part, sample: u32, classes: u32) -> AttentionMap {
    // Odd calls are another sample's: the two opinions differ.
    let sample = sample + u32::from(part == Part::Odd);
    let values = match kind {
        MapKind::Cross => (0..classes).flat_map(|class| cross_map(sample, class, 8)).collect(),
        MapKind::SelfAttention => self_map(sample, 8),
    };
    AttentionMap { kind, resolution: 8, part, weight: 10, values }
}

fn row(sample: u32, classes: u32) -> AttentionRow {
    let kinds = [MapKind::Cross, MapKind::SelfAttention];
    let maps = kinds.into_iter().flat_map(|kind| [Part::Even, Part::Odd].map(|part| map(kind, part, sample, classes)));
    AttentionRow {
        sample_id: SampleId::of_source(&Digest::of(&sample.to_le_bytes())),
        caption: "a cat beside two cows".into(),
        width: 40,
        height: 24,
        classes: (0..classes)
            .map(|class| ClassLabel { id: 8 + class, name: ["cat", "chair"][class as usize].into() })
            .collect(),
        maps: maps.collect(),
    }
}

async fn create(store: &Store, spec: &RunSpec, kind: DatasetKind, upstream: &[DatasetId]) -> Dataset {
    let parts = IdentityParts {
        kind,
        stage: "test".into(),
        run_seed: spec.seed,
        spec: spec.identity_of(kind),
        upstream: upstream.to_vec(),
        weights: [].into(),
        shards: 2,
    };
    Dataset::create(store, &Identity::new(parts)).await.unwrap()
}

/// Two shards: two samples, then one without a class and one with a class id that no pixel holds.
async fn write_attention(folder: &Path) -> Store {
    let store = Store::open(folder.to_str().unwrap(), &StoreOptions::default()).unwrap();
    let spec = RunSpec::parse(SPEC, "test").unwrap();
    let captions = create(&store, &spec, DatasetKind::Captions, &[]).await;
    let captions_batch = vec![CaptionRow::encode(&[]).unwrap()];
    for shard in [0, 1] {
        let batches = captions_batch.clone();
        captions.write_shard(ShardIndex(shard), CaptionRow::schema(), batches, &[]).await.unwrap();
    }
    let attention = create(&store, &spec, DatasetKind::Attention, std::slice::from_ref(captions.id())).await;
    let mut unusable = row(4, 1);
    unusable.classes[0].id = 300;
    for (shard, rows) in [[row(1, 2), row(2, 1)], [row(3, 0), unusable]].iter().enumerate() {
        let batches = vec![AttentionRow::encode(rows).unwrap()];
        let shard = ShardIndex(shard as u32);
        attention.write_shard(shard, AttentionRow::schema(), batches, &[]).await.unwrap();
    }
    store
}

fn run(folder: &Path, changes: &[&str]) -> Output {
    let spec = folder.join("spec.toml");
    std::fs::write(&spec, SPEC).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_attention-mask-extractor"));
    command.arg("--spec").arg(spec).arg("--store").arg(folder.join("store"));
    for change in changes {
        command.args(["--set", change]);
    }
    command.output().unwrap()
}

async fn masks(store: &Store) -> (Dataset, Vec<MaskRow>) {
    let ids = Dataset::list(store, DatasetKind::Masks).await.unwrap();
    let dataset = Dataset::open(store, ids.last().unwrap()).await.unwrap();
    let batches = dataset.read_shard(ShardIndex(0), Columns::All).await.unwrap();
    let rows = batches.iter().flat_map(|batch| MaskRow::decode(batch).unwrap()).collect();
    (dataset, rows)
}

#[tokio::test]
async fn a_store_with_attention_gets_masks_and_bad_samples_are_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let store = write_attention(&folder.path().join("store")).await;
    let output = run(folder.path(), &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "done, with quarantined samples: {errors}");

    let (dataset, rows) = masks(&store).await;
    assert_eq!(rows.len(), 2);
    let mask = image::load_from_memory(&rows[0].mask.bytes).unwrap().into_luma8();
    assert_eq!((mask.width(), mask.height()), (40, 24));
    assert!(mask.pixels().all(|pixel| [0, 8, 9, UNCERTAIN].contains(&pixel.0[0])));
    assert!(mask.pixels().any(|pixel| pixel.0[0] == 8));
    assert_eq!(rows[0].extractor, "self-refined cross=[8] self=8 power=1");
    let [cat, chair] = &rows[0].quality[..] else { unreachable!("two classes were asked for") };
    assert!(cat.in_caption && !chair.in_caption);
    assert!((0.0..=1.0).contains(&cat.agreement) && cat.peak > 0.0 && cat.area > 0.0);

    let manifest = dataset.manifest().await.unwrap().unwrap();
    assert_eq!((manifest.rows, manifest.quarantined), (2, 2));
    let set_aside = dataset.quarantine(ShardIndex(1)).await.unwrap();
    let classes: Vec<&str> = set_aside.iter().map(|row| row.error_class.as_str()).collect();
    assert_eq!(classes, ["rejected", "unsupported"]);
}

#[tokio::test]
async fn running_again_does_nothing_and_other_thresholds_make_a_sibling() {
    let folder = tempfile::tempdir().unwrap();
    let store = write_attention(&folder.path().join("store")).await;
    run(folder.path(), &[]);
    let (dataset, _) = masks(&store).await;
    let before = dataset.commit(ShardIndex(0)).await.unwrap();
    assert_eq!(run(folder.path(), &[]).status.code(), Some(0));
    assert_eq!(dataset.commit(ShardIndex(0)).await.unwrap(), before);
    run(folder.path(), &["masks.high=0.9"]);
    assert_eq!(Dataset::list(&store, DatasetKind::Masks).await.unwrap().len(), 2);
}

#[tokio::test]
async fn maps_that_were_not_kept_are_the_users_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    write_attention(&folder.path().join("store")).await;
    let output = run(folder.path(), &["masks.cross_resolutions=[16]"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("no cross-attention of resolution 16 is stored, only [8]"), "{errors}");
    assert!(errors.contains("hint: "), "{errors}");
}
