//! The socket of image decoders: one variant a decoder.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use glass_nets::weights::{Weights, folder_digest};
use glass_schemas::spec::trainer::{AutoencoderKind, ImageDecoderKind, PhaseSpec, TrainerSpec};

use super::broadcast::{self, BroadcastDecoder, BroadcastDecoderConfig};
use super::diffusion::DiffusionDecoder;
use super::latents::LatentSpace;
use super::painter::{Painter, Rounding, Sampling};
use super::sampler::{DiffusionPainter, EmptyPrompt, is_guided, refuse_guidance, scheduler};
use crate::data::Batch;
use crate::error::{Result, TrainerError};
use crate::layers::Initial;
use crate::parts::{Origin, PartMapper, PartVisitor};

/// A decoder of images.
#[derive(Debug, Clone)]
pub enum ImageDecoder {
    /// A pretrained UNet that reads slots where it read text.
    StableDiffusion(Box<DiffusionDecoder>),
    /// A UNet from nothing with slots as its context.
    LatentDiffusion(Box<DiffusionDecoder>),
    /// A painter of pixels.
    Broadcast(Box<BroadcastDecoder>),
}

impl ImageDecoder {
    /// The one that the spec names; none where it names none. `seed` draws weights that start from
    /// nothing.
    ///
    /// # Errors
    /// Where its weights or configurations cannot be loaded.
    pub fn new(spec: &TrainerSpec, seed: u64, device: &Device) -> Result<Option<Self>> {
        match spec.image.kind {
            ImageDecoderKind::None => Ok(None),
            ImageDecoderKind::StableDiffusion => {
                let decoder = DiffusionDecoder::load(&spec.diffusion, device)?;
                Ok(Some(Self::StableDiffusion(Box::new(decoder))))
            }
            ImageDecoderKind::LatentDiffusion => {
                let decoder = DiffusionDecoder::scratch(&spec.latent_diffusion, seed, device)?;
                Ok(Some(Self::LatentDiffusion(Box::new(decoder))))
            }
            ImageDecoderKind::Broadcast => {
                let config = BroadcastDecoderConfig::new(spec);
                let initial = Initial::new(seed, device).scope("image");
                Ok(Some(Self::Broadcast(Box::new(config.init(&initial)))))
            }
        }
    }

    /// A published UNet in `folder` as the decoder that the spec names; none where the spec names no such.
    ///
    /// # Errors
    /// Where its files, or the scheduler of the spec, cannot be read.
    pub fn published(spec: &TrainerSpec, folder: &Path, device: &Device) -> Result<Option<Self>> {
        let load = |frozen: &Path, origin| DiffusionDecoder::published(folder, frozen, origin, device).map(Box::new);
        Ok(match spec.image.kind {
            ImageDecoderKind::None | ImageDecoderKind::Broadcast => None,
            ImageDecoderKind::StableDiffusion => {
                let decoder = load(&spec.diffusion.weights, Origin::Pretrained)?;
                Some(Self::StableDiffusion(decoder))
            }
            ImageDecoderKind::LatentDiffusion => {
                Some(Self::LatentDiffusion(load(&spec.latent_diffusion.config, Origin::Seed)?))
            }
        })
    }

    /// The loss of a batch; `slots [batch, slots, slot_size]`.
    ///
    /// # Errors
    /// Where the batch lacks what is decoded.
    pub fn loss(&self, slots: Tensor<3>, batch: &Batch<'_>) -> Result<Tensor<1>> {
        match self {
            Self::StableDiffusion(decoder) | Self::LatentDiffusion(decoder) => decoder.loss_of(slots, batch),
            Self::Broadcast(decoder) => decoder.loss_of(slots, batch),
        }
    }

    /// Masks of the pictures, `[batch, slots, positions]` with a square number of positions, where
    /// the decoder has some.
    pub fn masks(&self, slots: Tensor<3>) -> Option<Tensor<3>> {
        match self {
            Self::StableDiffusion(_) | Self::LatentDiffusion(_) => None,
            Self::Broadcast(decoder) => Some(decoder.forward(slots).masks.flatten(2, 3)),
        }
    }

    /// What draws with it; `spec` says where its frozen parts lie.
    ///
    /// # Errors
    /// Where a frozen part cannot be loaded, or the decoder cannot be sampled as it is asked to.
    pub fn painter(&self, spec: &TrainerSpec, sampling: &Sampling, device: &Device) -> Result<Box<dyn Painter>> {
        Ok(match self {
            Self::StableDiffusion(decoder) => {
                let folder = &spec.diffusion.weights;
                let empty = is_guided(sampling).then(|| EmptyPrompt::load(folder, device));
                Box::new(DiffusionPainter {
                    empty: empty.transpose()?,
                    rounding: Rounding::Down,
                    ..DiffusionPainter::new(
                        decoder.unet.clone(),
                        scheduler(folder, sampling.scheduler)?,
                        LatentSpace::load(AutoencoderKind::Kl, &folder.join("vae"), device)?,
                        device,
                    )
                })
            }
            Self::LatentDiffusion(decoder) => {
                refuse_guidance(sampling)?;
                let own = &spec.latent_diffusion;
                Box::new(DiffusionPainter::new(
                    decoder.unet.clone(),
                    scheduler(&own.config, sampling.scheduler)?,
                    LatentSpace::load(own.autoencoder, &own.autoencoder_weights, device)?,
                    device,
                ))
            }
            Self::Broadcast(decoder) => decoder.clone(),
        })
    }

    /// The sha256 in hex of the frozen parts that pictures are drawn with.
    ///
    /// # Errors
    /// [`TrainerError::Spec`] where the spec names no image decoder; files that cannot be read.
    pub fn frozen_digest(spec: &TrainerSpec) -> Result<String> {
        match spec.image.kind {
            ImageDecoderKind::None => Err(TrainerError::Spec {
                field: "trainer.image.kind",
                message: "is `none`: nothing draws pictures".to_owned(),
            }),
            ImageDecoderKind::StableDiffusion => {
                let unet = spec.diffusion.weights.join("unet");
                Ok(Weights::open(unet, "diffusion_pytorch_model")?.digest())
            }
            ImageDecoderKind::LatentDiffusion => {
                let own = &spec.latent_diffusion;
                let parts = [folder_digest(&own.config)?, folder_digest(&own.autoencoder_weights)?];
                Ok(parts.join("-"))
            }
            ImageDecoderKind::Broadcast => Ok(String::new()),
        }
    }

    /// Without autodiff.
    pub fn valid(&self) -> Self {
        let without =
            |decoder: &DiffusionDecoder| Box::new(DiffusionDecoder { unet: decoder.unet.valid(), ..decoder.clone() });
        match self {
            Self::StableDiffusion(decoder) => Self::StableDiffusion(without(decoder)),
            Self::LatentDiffusion(decoder) => Self::LatentDiffusion(without(decoder)),
            Self::Broadcast(decoder) => Self::Broadcast(Box::new(decoder.valid())),
        }
    }

    /// What of it a phase trains and what is frozen.
    pub fn in_phase(self, spec: &TrainerSpec, phase: &PhaseSpec) -> Self {
        match self {
            Self::StableDiffusion(decoder) => {
                let part = (phase.learning_rate.unet > 0.0).then_some(spec.diffusion.train);
                Self::StableDiffusion(Box::new(decoder.trained(part)))
            }
            from_nothing @ (Self::LatentDiffusion(_) | Self::Broadcast(_)) => from_nothing,
        }
    }

    /// Documents that are saved beside its weights, by name.
    pub fn documents(&self) -> Vec<(&'static str, serde_json::Value)> {
        match self {
            Self::StableDiffusion(decoder) | Self::LatentDiffusion(decoder) => decoder.documents(),
            Self::Broadcast(_) => Vec::new(),
        }
    }

    /// Shows its part.
    pub fn visit(&self, visitor: &mut impl PartVisitor) {
        match self {
            Self::StableDiffusion(decoder) | Self::LatentDiffusion(decoder) => {
                visitor.visit(&decoder.layout(), &decoder.unet);
            }
            Self::Broadcast(decoder) => visitor.visit(&broadcast::LAYOUT, decoder.as_ref()),
        }
    }

    /// Changes its part.
    pub fn map(self, mapper: &mut impl PartMapper) -> Self {
        match self {
            Self::StableDiffusion(mut decoder) => {
                let layout = decoder.layout();
                decoder.unet = mapper.map(&layout, decoder.unet);
                Self::StableDiffusion(decoder)
            }
            Self::LatentDiffusion(mut decoder) => {
                let layout = decoder.layout();
                decoder.unet = mapper.map(&layout, decoder.unet);
                Self::LatentDiffusion(decoder)
            }
            Self::Broadcast(decoder) => Self::Broadcast(Box::new(mapper.map(&broadcast::LAYOUT, *decoder))),
        }
    }
}
