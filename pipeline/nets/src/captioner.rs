//! Any captioner by its `config.json`.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use serde::Deserialize;

use crate::blip::Blip;
use crate::blip2::Blip2;
use crate::error::{NetsError, Result};
use crate::generate::GenerateOptions;

/// A network that describes pictures, with its tokenizer.
#[derive(Debug)]
pub enum Captioner {
    /// `blip-2`, with an OPT or T5 language model.
    Blip2(Box<Blip2>),
    /// `blip`.
    Blip(Box<Blip>),
}

/// What says which network a folder holds.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    model_type: String,
}

impl Captioner {
    /// Loads the network that `model_type` of the folder's `config.json` names.
    ///
    /// # Errors
    /// [`NetsError::Config`] when that is none of those here; else as [`Blip2::load`] and [`Blip::load`].
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("config.json");
        let kind: Kind = crate::config::read(&path)?;
        match kind.model_type.as_str() {
            "blip-2" => Ok(Self::Blip2(Box::new(Blip2::load(folder, device)?))),
            "blip" => Ok(Self::Blip(Box::new(Blip::load(folder, device)?))),
            other => Err(NetsError::Config {
                path,
                field: "model_type".to_owned(),
                message: format!("`{other}` is no captioner, expected `blip-2` or `blip`"),
            }),
        }
    }

    /// A caption for each picture of `[batch, 3, height, width]` normalised pixels, trimmed. It is the one
    /// that the picture gets alone.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the pictures or options cannot be used.
    pub fn caption(&self, pixels: Tensor<4>, options: &GenerateOptions) -> Result<Vec<String>> {
        match self {
            Self::Blip2(model) => model.caption(pixels, options),
            Self::Blip(model) => model.caption(pixels, options),
        }
    }
}
