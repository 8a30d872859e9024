//! The image half of BLIP-2 alone, out of a whole checkpoint or one of its own.

use std::path::Path;

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::qformer::QFormer;
use super::vision::VisionModel;
use super::{Blip2Config, Blip2QFormerConfig, Blip2VisionConfig};
use crate::config;
use crate::error::{NetsError, Result};
use crate::weights::Weights;

/// transformers' `Blip2VisionModel`; of a whole checkpoint nothing else is loaded.
#[derive(Debug)]
pub struct Blip2Vision(VisionModel);

impl Blip2Vision {
    /// Loads from the folder of a `Blip2VisionModel` or of a `Blip2ForConditionalGeneration`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let weights = Weights::open(folder, "model")?;
        let root = weights.root(device);
        if let Some(whole) = whole(folder)? {
            let scope = root.enter("vision_model");
            return VisionModel::load(&scope, &whole.vision_config).map(Self);
        }
        let config: Blip2VisionConfig = own(folder)?;
        let model = VisionModel::load(&root, &config)?;
        weights.finish(&["*.position_ids"])?;
        Ok(Self(model))
    }

    /// Normalised pixels `[batch, 3, height, width]` to the last hidden state `[batch, 1 + patches, dim]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when the picture does not divide into patches.
    pub fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        self.0.forward(pixels)
    }
}

/// transformers' `Blip2QFormerModel`, with the learned queries where the checkpoint is a whole one.
#[derive(Debug)]
pub struct Blip2Queries {
    qformer: QFormer,
    queries: Option<Param<Tensor<3>>>,
    dim: usize,
    image_dim: usize,
}

impl Blip2Queries {
    /// Loads from the folder of a `Blip2QFormerModel` or of a `Blip2ForConditionalGeneration`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or weights and configuration do not belong together.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let weights = Weights::open(folder, "model")?;
        let root = weights.root(device);
        let whole = whole(folder)?;
        let (scope, config, image_dim) = match &whole {
            Some(whole) => {
                let image_dim = whole.vision_config.hidden_size;
                (root.enter("qformer"), whole.qformer_config.clone(), image_dim)
            }
            None => {
                let config: Blip2QFormerConfig = own(folder)?;
                let image_dim = config.encoder_hidden_size;
                (root.clone(), config, image_dim)
            }
        };
        let dim = config.hidden_size;
        let queries = |whole: &Blip2Config| root.param("query_tokens", [1, whole.num_query_tokens, dim]);
        Ok(Self {
            qformer: QFormer::load(&scope, &config, image_dim)?,
            queries: whole.as_ref().map(queries).transpose()?,
            dim,
            image_dim,
        })
    }

    /// Image tokens `[batch, tokens, vision_dim]` to the last hidden state `[batch, queries, dim]` of the
    /// learned queries, or of others `[batch, queries, dim]`.
    ///
    /// # Errors
    /// [`NetsError::Input`] when widths do not fit, or there are no queries.
    pub fn forward(&self, image: Tensor<3>, queries: Option<Tensor<3>>) -> Result<Tensor<3>> {
        let batch = image.dims()[0];
        let learned = || Some(self.queries.as_ref()?.val().repeat_dim(0, batch));
        let Some(queries) = queries.or_else(learned) else {
            return Err(NetsError::input(
                "a Q-Former without the rest of BLIP-2 has no queries of its own: give `query_embeds`",
            ));
        };
        for (name, width, expected) in
            [("image tokens", image.dims()[2], self.image_dim), ("queries", queries.dims()[2], self.dim)]
        {
            if width != expected {
                return Err(NetsError::input(format!("{name} are {width} wide, expected {expected}")));
            }
        }
        Ok(self.qformer.forward(queries, image))
    }
}

/// The configuration, where the folder holds all of BLIP-2.
fn whole(folder: &Path) -> Result<Option<Blip2Config>> {
    let path = folder.join("config.json");
    let keys: Map<String, Value> = config::read(&path)?;
    match keys.get("model_type").and_then(Value::as_str) {
        None | Some("blip-2") => config::read(&path).map(Some),
        Some(_) => Ok(None),
    }
}

fn own<T: DeserializeOwned>(folder: &Path) -> Result<T> {
    config::read(folder.join("config.json"))
}
