use std::collections::BTreeMap;

use glass_schemas::ids::{DatasetId, DatasetKind, Digest, SampleId, ShardIndex};
use glass_schemas::manifest::{Identity, IdentityParts};
use glass_schemas::plan::{Plan, assigned};
use proptest::prelude::*;

fn parts() -> IdentityParts {
    IdentityParts {
        kind: DatasetKind::Masks,
        stage: "attention-mask-extractor".to_owned(),
        run_seed: 7,
        spec: serde_json::json!({"low": 0.5, "high": 0.6}),
        upstream: vec![],
        weights: BTreeMap::new(),
        shards: 3,
    }
}

#[test]
fn a_dataset_is_named_by_what_made_it() {
    let base = Identity::new(parts());
    assert_eq!(base.id, Identity::new(parts()).id);
    let reordered = IdentityParts { spec: serde_json::json!({"high": 0.6, "low": 0.5}), ..parts() };
    assert_eq!(base.id, Identity::new(reordered).id);
    let changed = IdentityParts { spec: serde_json::json!({"low": 0.4, "high": 0.6}), ..parts() };
    assert_ne!(base.id, Identity::new(changed).id);
}

#[test]
fn a_document_reads_back_as_it_was_written() {
    let identity = Identity::new(parts());
    let text = serde_json::to_string(&identity).unwrap();
    assert_eq!(identity, serde_json::from_str(&text).unwrap());
}

#[test]
fn another_schema_version_is_refused_by_name() {
    let mut identity = Identity::new(parts());
    identity.schema_version = 99;
    let message = identity.check_version().unwrap_err().to_string();
    assert!(message.contains("99"), "{message}");
}

#[test]
fn identifiers_that_are_not_refuse_politely() {
    for bad in ["masks", "masks-12", "pictures-0123456789abcdef", "masks-0123456789abcdeg"] {
        assert!(bad.parse::<DatasetId>().is_err(), "{bad}");
    }
    assert!("xyz".parse::<SampleId>().is_err());
    assert!("+0000000000000000000000000000000".len() == 32);
}

#[test]
fn samples_differ_by_source_prompt_and_replicate() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let base = SampleId::generated(&a, "a cat; cat", 0);
    assert_ne!(base, SampleId::generated(&b, "a cat; cat", 0));
    assert_ne!(base, SampleId::generated(&a, "a cat; dog", 0));
    assert_ne!(base, SampleId::generated(&a, "a cat; cat", 1));
    assert_eq!(base, base.to_string().parse().unwrap());
}

proptest! {
    #[test]
    fn a_plan_covers_every_item_once(items in 0u64..5000, rows in 1u32..300) {
        let plan = Plan::new(items, rows);
        let mut next = 0;
        for shard in 0..plan.shards() {
            let range = plan.range(ShardIndex(shard));
            prop_assert_eq!(range.start, next);
            prop_assert!(!range.is_empty());
            next = range.end;
        }
        prop_assert_eq!(next, items);
    }

    #[test]
    fn workers_share_the_shards_without_overlap(shards in 0u32..200, count in 1u32..9) {
        let mut all: Vec<_> = (0..count).flat_map(|index| assigned(shards, index, count)).collect();
        all.sort();
        let expected: Vec<_> = (0..shards).map(ShardIndex).collect();
        prop_assert_eq!(all, expected);
    }
}
