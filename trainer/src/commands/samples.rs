//! What a run is trained on: generated images and their masks from the store, or real images.

use std::path::Path;

use glass_dataset::{Dataset, DatasetError, Store};
use glass_schemas::ids::{DatasetId, DatasetKind, Digest};
use glass_schemas::spec::RunSpec;
use glass_schemas::spec::trainer::{DataSource, GuidanceSource};
use glass_stage::Explain as _;

use super::options::explained;
use crate::data::annotated::{Access, AnnotatedImages, Faults, open};
use crate::data::{ImagePreparation, LatentEncoder, Preparation, TrainingSet, Upstream};
use crate::encoders::Encoder;

/// What a run is trained on, found but not yet unpacked.
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub(super) enum Samples {
    /// Generated images joined with their pseudo-masks.
    Generated(Upstream),
    /// Real images.
    Images(Box<AnnotatedImages>),
}

/// What unpacking needs besides.
pub(super) struct Unpacking<'a> {
    /// The run spec.
    pub spec: &'a RunSpec,
    /// Frozen part of the encoder.
    pub encoder: Box<dyn Encoder>,
    /// Digest of its weights.
    pub encoder_digest: Digest,
    /// Where unpacked sets live.
    pub scratch: &'a Path,
    /// The run's seed.
    pub seed: u64,
    /// What makes latents of pictures at every visit, where the run decodes such latents.
    pub latents: Option<LatentEncoder>,
}

impl Samples {
    /// Finds what the spec names; `masks` names a masks dataset where the spec alone does not tell.
    ///
    /// # Errors
    /// The user's: nothing is found, or what is found cannot be used.
    pub async fn find(store: &Store, spec: &RunSpec, masks: Option<&DatasetId>) -> anyhow::Result<Self> {
        if spec.trainer.data.source == DataSource::Generated {
            return Ok(Self::Generated(upstream(store, spec, masks).await?));
        }
        if masks.is_some() {
            return Err(anyhow::anyhow!("`--upstream` names masks, and `trainer.data.source` is `images`"))
                .blame_user()
                .hint("leave the flag out, or train on generated images");
        }
        let (images, access) = (spec.trainer.data.images.clone(), Access::of(&spec.store));
        let opened = tokio::task::spawn_blocking(move || open(&images, &access, &mut Faults::Refuse)).await?;
        Ok(Self::Images(Box::new(explained(opened.map_err(Into::into))?)))
    }

    /// The datasets it comes from.
    pub fn datasets(&self) -> Vec<DatasetId> {
        match self {
            Self::Generated(upstream) => {
                vec![upstream.generations.id().clone(), upstream.masks.id().clone()]
            }
            Self::Images(_) => Vec::new(),
        }
    }

    /// Digest of the real images.
    pub fn images(&self) -> Option<Digest> {
        match self {
            Self::Generated(_) => None,
            Self::Images(images) => Some(images.digest()),
        }
    }

    /// Unpacks it beside the run, where that has not been done yet.
    ///
    /// # Errors
    /// The user's: data or a spec that does not fit.
    pub async fn unpack(self, needs: Unpacking<'_>) -> anyhow::Result<Box<dyn TrainingSet>> {
        let Unpacking { spec, encoder, encoder_digest, scratch, seed, latents } = needs;
        let trainer = &spec.trainer;
        match self {
            Self::Generated(upstream) => {
                let preparation = Preparation { spec: trainer, upstream: &upstream, encoder_digest, scratch };
                let samples = explained(preparation.open(encoder).await)?;
                Ok(match latents {
                    Some(latents) => Box::new(samples.with_encoded_latents(latents, seed)),
                    None => Box::new(samples),
                })
            }
            Self::Images(images) => {
                // Reading blocks, and may wait for a store: not in a task of the runtime.
                let set = tokio::task::block_in_place(|| {
                    let images = images.as_ref();
                    ImagePreparation { spec: trainer, images, encoder_digest, scratch, seed }.open(encoder)
                });
                let set = explained(set)?;
                Ok(match latents {
                    Some(latents) => Box::new(set.with_latents(latents, seed)),
                    None => Box::new(set),
                })
            }
        }
    }
}

/// The masks that the spec stands for, and the generations they were made from.
async fn upstream(store: &Store, spec: &RunSpec, named: Option<&DatasetId>) -> anyhow::Result<Upstream> {
    let Some(id) = named else {
        return Ok(Upstream {
            generations: made(Dataset::find(store, DatasetKind::Generations, spec).await, spec)?,
            masks: made(Dataset::find(store, DatasetKind::Masks, spec).await, spec)?,
        });
    };
    let masks = Dataset::open(store, id).await?;
    // Masks are made from attention means; the images drawn in the same pass carry the same hash.
    let attention = masks.identity().upstream.iter().find(|id| id.kind() == DatasetKind::Attention);
    match attention {
        Some(id) => {
            let generations = id.sibling(DatasetKind::Generations);
            Ok(Upstream { generations: Dataset::open(store, &generations).await?, masks })
        }
        None => Err(anyhow::anyhow!("`{id}` was not made from attention means"))
            .blame_user()
            .hint("--upstream takes a masks dataset"),
    }
}

/// With another hint where a dataset is missing that the method does not need: most methods are published on real
/// images, and a spec that names nothing but such a method asks for generated ones.
fn made<T>(found: Result<T, DatasetError>, spec: &RunSpec) -> anyhow::Result<T> {
    match found {
        Err(error @ DatasetError::NotMade { .. }) if spec.trainer.guidance.source != GuidanceSource::PseudoMasks => {
            Err(error).hint(
                "this method is not guided by pseudo-masks: to train it on real images, as published, say \
                 `trainer.data.source = \"images\"` and where they lie in `[trainer.data.images]` (`uri`, `format`, \
                 `annotations`); to train it on generated ones, make them first: `glassctl run` with the same spec",
            )
        }
        other => Ok(other?),
    }
}
