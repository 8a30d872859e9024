//! The card that comes with the manifest.

use glass_dataset::card;
use glass_schemas::dataset::{MaskRow, Row};
use glass_schemas::ids::ShardIndex;

use crate::support::{batch, dataset, memory, quarantined, rows};

#[tokio::test]
async fn a_card_comes_with_the_manifest_and_says_the_same_every_time() {
    let store = memory();
    let dataset = dataset(&store, 2).await;
    let key = format!("{}/README.md", dataset.id().path());
    for shard in [0, 1].map(ShardIndex) {
        assert_eq!(store.size(&key).await.unwrap(), None, "not before it is complete");
        let failed = [quarantined("x.jpg")];
        dataset.write_shard(shard, MaskRow::schema(), vec![batch(&rows(3, 0.0))], &failed).await.unwrap();
        dataset.finish().await.unwrap();
    }
    let manifest = dataset.manifest().await.unwrap().unwrap();
    let written = String::from_utf8(store.get(&key).await.unwrap().to_vec()).unwrap();
    assert_eq!(written, card(&manifest));
    for shard in &manifest.shards {
        assert!(written.contains(&format!("    - {}\n", shard.data_key)), "{written}");
    }
    for part in [
        "num_examples: 6",
        "| samples that failed (`quarantine/`) | 2 |",
        "| coverage | 0.7500 |",
        "| `mask` | image",
        "None was stated",
    ] {
        assert!(written.contains(part), "{part} is not in\n{written}");
    }
    // One that is gone comes back with the next run.
    store.delete(&key).await.unwrap();
    dataset.finish().await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), written.as_bytes());
}
