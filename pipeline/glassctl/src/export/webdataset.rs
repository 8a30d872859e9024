//! WebDataset: tar files in which the files of a sample follow each other under one stem.

use anyhow::Context;
use glass_schemas::dataset::{ClassLabel, ClassQuality};
use glass_schemas::ids::{SampleId, ShardIndex};
use glass_stage::WholeFile;
use serde::Serialize;
use serde_json::{Value, json};

use super::Format;
use super::folder::Folder;
use super::pictures::Pictures;
use crate::joined::Pair;

/// Writes tar files.
pub(super) struct WebDataset {
    pictures: Pictures,
    tar: Option<tar::Builder<WholeFile>>,
}

/// A sample's `.json`.
#[derive(Serialize)]
struct Sample<'a> {
    sample_id: SampleId,
    source_id: SampleId,
    source_uri: &'a str,
    replicate: u32,
    seed: u64,
    caption: &'a str,
    prompt: &'a str,
    classes: &'a [ClassLabel],
    extractor: &'a str,
    agreement: f32,
    quality: &'a [ClassQuality],
}

impl WebDataset {
    pub(super) fn new(pictures: Pictures) -> Self {
        Self { pictures, tar: None }
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let tar = self.tar.as_mut().context("no tar file is begun")?;
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Nothing of the day or the user: the same dataset is the same bytes.
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        Ok(tar.append_data(&mut header, name, bytes)?)
    }
}

impl Format for WebDataset {
    fn begin(&mut self, folder: &Folder, shard: ShardIndex) -> anyhow::Result<()> {
        self.tar = Some(tar::Builder::new(folder.replace(&tar_name(shard))?));
        Ok(())
    }

    fn add(&mut self, _: &Folder, pair: &Pair) -> anyhow::Result<Value> {
        let Pair { drawing, mask } = pair;
        let sample = Sample {
            sample_id: drawing.sample_id,
            source_id: drawing.source_id,
            source_uri: &drawing.source_uri,
            replicate: drawing.replicate,
            seed: drawing.seed,
            caption: &drawing.caption,
            prompt: &drawing.prompt,
            classes: &mask.classes,
            extractor: &mask.extractor,
            agreement: mask.agreement,
            quality: &mask.quality,
        };
        let stem = drawing.sample_id;
        let (picture, ending) = self.pictures.file(pair)?;
        self.append(&format!("{stem}.{ending}"), &picture)?;
        self.append(&format!("{stem}.mask.png"), &mask.mask.bytes)?;
        self.append(&format!("{stem}.json"), &serde_json::to_vec(&sample)?)?;
        Ok(Value::Null)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let tar = self.tar.take().context("no tar file is begun")?;
        Ok(tar.into_inner()?.finish()?)
    }

    /// The shards and how many samples each has, in the fields of a `wids` shard index.
    fn assemble(&self, folder: &Folder) -> anyhow::Result<()> {
        let counts = folder.counts()?.into_iter();
        let shards: Vec<Value> =
            counts.map(|(shard, count)| json!({ "url": tar_name(shard), "nsamples": count })).collect();
        let index = json!({ "__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": shards });
        folder.write_json("index.json", &index)
    }
}

fn tar_name(shard: ShardIndex) -> String {
    format!("{shard}.tar")
}
