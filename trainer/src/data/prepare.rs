//! Joining generations and masks, and computing frozen features once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use glass_dataset::{Columns, Dataset};
use glass_nets::image::decode;
use glass_schemas::dataset::{GenerationRow, MaskRow, Row};
use glass_schemas::ids::{Digest, SampleId, ShardIndex};
use glass_schemas::spec::trainer::{Reliability, Switch, TrainerSpec};
use image::RgbImage;
use image::imageops::flip_horizontal;

use super::local::{JoinCount, LATENTS, LocalSet, MASKS, SetIndex};
use super::rows::RowWriter;
use super::unpacked::{ENCODE_BATCH, FeatureWriter, PICTURES, Unfinished, is_whole};
use crate::encoders::Encoder;
use crate::error::{Result, TrainerError};
use crate::guidance::nearest;

/// The datasets a run is trained on.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Generated images and their latents.
    pub generations: Dataset,
    /// Their pseudo-masks.
    pub masks: Dataset,
}

/// Unpacks a training set into a folder of its own below `scratch`.
pub struct Preparation<'a> {
    /// The run's constants.
    pub spec: &'a TrainerSpec,
    /// What is joined.
    pub upstream: &'a Upstream,
    /// Digest of the encoder's weights.
    pub encoder_digest: Digest,
    /// Where unpacked sets live; may be emptied at any time.
    pub scratch: &'a Path,
}

impl Preparation<'_> {
    /// Opens the set, unpacking it first where that has not been done yet.
    ///
    /// # Errors
    /// [`TrainerError::Data`] where the join covers less than the spec accepts; the store's and
    /// the file system's errors.
    pub async fn open(&self, encoder: Box<dyn Encoder>) -> Result<LocalSet> {
        let folder = self.folder();
        if !is_whole(&folder) {
            self.unpack(&folder, encoder.as_ref()).await?;
        }
        let set = LocalSet::open(
            &folder,
            match self.spec.data.cache {
                Switch::On => None,
                Switch::Off => Some(encoder),
            },
        )?;
        self.check(&set.index().join)?;
        Ok(set)
    }

    /// One folder for everything that changes a byte in it.
    fn folder(&self) -> PathBuf {
        let parts = serde_json::json!({
            "generations": self.upstream.generations.id(),
            "masks": self.upstream.masks.id(),
            "encoder": self.encoder_digest,
            "image_size": self.spec.encoder.image_size,
            "output": self.spec.encoder.output,
            "pixels": self.spec.encoder.pixels,
            "train_from": self.spec.encoder.train_from,
            "mask_side": self.spec.guidance.resolution,
            "reliability": self.spec.guidance.reliability,
            "cache": self.spec.data.cache,
        });
        let digest = Digest::of(parts.to_string().as_bytes());
        self.scratch.join(format!("set-{}", digest.short(16)))
    }

    fn check(&self, join: &JoinCount) -> Result<()> {
        let dataset = self.upstream.masks.id().to_string();
        tracing::info!(
            generations = join.generations,
            masks = join.masks,
            joined = join.joined,
            "joined generations and masks by sample id"
        );
        if join.joined == 0 || join.coverage() < self.spec.min_coverage {
            return Err(TrainerError::Data {
                dataset,
                message: format!(
                    "{} of {} generated images have a mask, `trainer.min_coverage` asks for {}",
                    join.joined, join.generations, self.spec.min_coverage
                ),
            });
        }
        Ok(())
    }

    async fn unpack(&self, folder: &Path, encoder: &dyn Encoder) -> Result<()> {
        let unfinished = Unfinished::create(folder)?;
        let mut writer = SetWriter::create(unfinished.path(), self.spec, encoder)?;
        let generations = &self.upstream.generations;
        for shard in 0..generations.identity().shards {
            self.unpack_shard(ShardIndex(shard), &mut writer).await?;
        }
        unfinished.finish(&writer.finish()?)
    }

    /// Shard k of the masks was made from shard k of the generations: the join is shard by shard.
    async fn unpack_shard(&self, shard: ShardIndex, writer: &mut SetWriter<'_>) -> Result<()> {
        let mut masks: HashMap<SampleId, MaskRow> = HashMap::new();
        for batch in self.upstream.masks.read_shard(shard, Columns::All).await? {
            masks.extend(MaskRow::decode(&batch)?.into_iter().map(|row| (row.sample_id, row)));
        }
        writer.index.join.masks += masks.len() as u64;
        let mut stream = self.upstream.generations.stream_shard(shard, Columns::All).await?;
        while let Some(batch) = stream.try_next().await? {
            for generation in GenerationRow::decode(&batch)? {
                writer.index.join.generations += 1;
                if let Some(mask) = masks.get(&generation.sample_id) {
                    writer.push(&generation, mask)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes the files of a set.
struct SetWriter<'a> {
    spec: &'a TrainerSpec,
    encoder: &'a dyn Encoder,
    index: SetIndex,
    pictures: RowWriter,
    masks: RowWriter,
    latents: RowWriter,
    features: FeatureWriter,
    waiting: Vec<RgbImage>,
}

impl<'a> SetWriter<'a> {
    fn create(folder: &Path, spec: &'a TrainerSpec, encoder: &'a dyn Encoder) -> Result<Self> {
        let writer = |name: &str| RowWriter::create(&folder.join(name));
        Ok(Self {
            spec,
            encoder,
            index: SetIndex {
                samples: Vec::new(),
                weights: Vec::new(),
                offsets: vec![0],
                mask_side: spec.guidance.resolution as usize,
                latent_shape: [0; 3],
                feature_shape: encoder.feature_shape(),
                join: JoinCount::default(),
            },
            pictures: writer(PICTURES)?,
            masks: writer(MASKS)?,
            latents: writer(LATENTS)?,
            features: FeatureWriter::create(folder)?,
            waiting: Vec::new(),
        })
    }

    fn push(&mut self, generation: &GenerationRow, mask: &MaskRow) -> Result<()> {
        let sample = generation.sample_id;
        let picture = decode(&generation.image.bytes)?;
        self.pictures.push(&generation.image.bytes)?;
        let end = self.index.offsets.last().copied().unwrap_or(0);
        self.index.offsets.push(end + generation.image.bytes.len() as u64);
        self.masks.push(&self.mask(sample, mask)?)?;
        let shape: Vec<usize> = generation.latent_shape.iter().map(|&n| n as usize).collect();
        let shape = <[usize; 3]>::try_from(shape).map_err(|_| self.fault(sample, "its latent has not three axes"))?;
        if !self.index.samples.is_empty() && shape != self.index.latent_shape {
            return Err(self.fault(sample, "its latent has another shape than those before"));
        }
        self.index.latent_shape = shape;
        self.latents.push_f32(&generation.latent)?;
        self.index.samples.push(sample);
        self.index.weights.push(match self.spec.guidance.reliability {
            Reliability::Off => 1.0,
            Reliability::Agreement => mask.agreement.clamp(0.0, 1.0),
        });
        self.index.join.joined += 1;
        if self.spec.data.cache == Switch::On {
            self.waiting.push(picture);
            if self.waiting.len() == ENCODE_BATCH {
                self.encode()?;
            }
        }
        Ok(())
    }

    /// The pseudo-mask at the resolution of the guidance.
    fn mask(&self, sample: SampleId, mask: &MaskRow) -> Result<Vec<u8>> {
        let labels = image::load_from_memory(&mask.mask.bytes).map_err(|error| self.fault(sample, error))?.into_luma8();
        if labels.width() != labels.height() {
            return Err(self.fault(sample, "its mask is not square"));
        }
        let from = labels.width() as usize;
        Ok(nearest(labels.as_raw(), from, self.index.mask_side))
    }

    /// Features of the pictures that wait, plain and mirrored.
    fn encode(&mut self) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let plain = std::mem::take(&mut self.waiting);
        let mirrored: Vec<RgbImage> = plain.iter().map(flip_horizontal).collect();
        self.features.push(self.encoder, &[plain, mirrored])?;
        tracing::info!(samples = self.index.samples.len(), "features computed");
        Ok(())
    }

    /// Ends the files, and gives the index of what is in them.
    fn finish(mut self) -> Result<SetIndex> {
        self.encode()?;
        self.pictures.finish()?;
        self.masks.finish()?;
        self.latents.finish()?;
        self.features.finish()?;
        Ok(self.index)
    }

    fn fault(&self, sample: SampleId, message: impl std::fmt::Display) -> TrainerError {
        TrainerError::Data { dataset: "masks".to_owned(), message: format!("sample {sample}: {message}") }
    }
}
