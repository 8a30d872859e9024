//! `config.json` of a vector-quantised autoencoder.

use std::path::Path;

use serde::Deserialize;

use crate::config;
use crate::error::{NetsError, Result};
use crate::vae::VaeConfig;

/// Upstream `VQModel`'s configuration: convolutions as in [`VaeConfig`], and the codebook.
#[derive(Debug, Clone, PartialEq)]
pub struct VqVaeConfig {
    /// The convolutions, and what the diffusion model's latents are multiplied by.
    pub convolutions: VaeConfig,
    /// Number of codes.
    pub codes: usize,
    /// Width of a code; the channels of the latent.
    pub code_size: usize,
    /// Weight of the term that pulls the encoder to its codes.
    pub commitment_weight: f64,
    /// Weight of the term that pulls codes to the encoder.
    pub codebook_weight: f64,
}

/// The keys besides those of [`VaeConfig`].
#[derive(Debug, Deserialize)]
#[serde(default)]
struct File {
    num_vq_embeddings: usize,
    vq_embed_dim: Option<usize>,
    norm_type: String,
    lookup_from_codebook: bool,
    commitment_weight: f64,
    codebook_weight: f64,
}

impl Default for File {
    /// The weights of the two terms are those of the first release of VQGAN, where they stand the other
    /// way round than in its paper; SlotDiffusion trains with them.
    fn default() -> Self {
        Self {
            num_vq_embeddings: 256,
            vq_embed_dim: None,
            norm_type: "group".to_owned(),
            lookup_from_codebook: false,
            commitment_weight: 1.0,
            codebook_weight: 0.25,
        }
    }
}

impl VqVaeConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When the file cannot be read, or asks for something that is not implemented: the field is named.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join("config.json");
        let convolutions = VaeConfig::read(&folder)?;
        let file: File = config::read(&path)?;
        let bad =
            |field: &str, message: String| NetsError::Config { path: path.clone(), field: field.to_owned(), message };
        if file.norm_type != "group" {
            let message = format!("`{}` is not implemented, only `group` is", file.norm_type);
            return Err(bad("norm_type", message));
        }
        if file.lookup_from_codebook {
            return Err(bad("lookup_from_codebook", "is not implemented".to_owned()));
        }
        if file.num_vq_embeddings == 0 || file.vq_embed_dim == Some(0) {
            return Err(bad("num_vq_embeddings", "a codebook needs codes".to_owned()));
        }
        Ok(Self {
            codes: file.num_vq_embeddings,
            code_size: file.vq_embed_dim.unwrap_or(convolutions.latent_channels),
            commitment_weight: file.commitment_weight,
            codebook_weight: file.codebook_weight,
            convolutions,
        })
    }
}
