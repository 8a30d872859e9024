//! `[source]`: the real images.

use serde::{Deserialize, Serialize};

/// How a source holds its images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// One object per image: a folder, or a prefix of an object store.
    #[default]
    Files,
    /// Parquet objects with an image column.
    Parquet,
}

/// Where the real images are and how they are cut into shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceSpec {
    /// A folder, a prefix such as `s3://bucket/images`; with `*` a glob.
    pub uri: String,
    /// How the images are held.
    pub kind: SourceKind,
    /// Column of the images, for Parquet (binary, or a struct with `bytes`).
    pub image_column: String,
    /// Take only the first images of the sorted listing; 0 takes all.
    pub limit: u64,
    /// Images per shard: the unit of commit of every stage.
    pub rows_per_shard: u32,
    /// COCO `instances.json` with image-level classes, for `captioner.class_source = "ground-truth"`.
    pub ground_truth: Option<String>,
}

impl Default for SourceSpec {
    fn default() -> Self {
        Self {
            uri: String::new(),
            kind: SourceKind::default(),
            image_column: "image".to_owned(),
            limit: 0,
            rows_per_shard: 1000,
            ground_truth: None,
        }
    }
}
