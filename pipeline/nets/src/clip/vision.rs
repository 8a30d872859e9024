//! Upstream `CLIPVisionModelWithProjection`.

use std::path::Path;

use burn::module::{Module, Param};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::config::ClipVisionConfig;
use super::layer::{Layer, LayerSizes};
use crate::attention::Visibility;
use crate::error::{NetsError, Result};
use crate::vision::{PatchBias, PatchEmbedding};
use crate::weights::Scope;
use crate::{Weights, config, layers};

/// The image encoder, with the projection into the space that texts and images share.
#[derive(Module, Debug)]
pub struct ClipVisionModel {
    class_embedding: Param<Tensor<1>>,
    patches: PatchEmbedding,
    positions: Embedding,
    pre_norm: LayerNorm,
    layers: Vec<Layer>,
    post_norm: LayerNorm,
    projection: Linear,
    #[module(skip)]
    side: usize,
}

impl ClipVisionModel {
    /// Reads `config.json` and `model.safetensors` in `folder`, which may hold the vision side alone
    /// (`CLIPVisionModelWithProjection`) or a whole CLIP.
    ///
    /// # Errors
    /// When a file is missing, damaged, or does not belong to the other.
    pub fn load(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("config.json");
        let config: ClipVisionConfig = config::read(&path)?;
        let config = config.flat();
        let divided = |whole: usize, part: usize| part > 0 && whole > 0 && whole.is_multiple_of(part);
        let refuse =
            |field: &str, message: String| NetsError::Config { path: path.clone(), field: field.to_owned(), message };
        if !divided(config.hidden_size, config.num_attention_heads) {
            let message = format!("{} does not divide a width of {}", config.num_attention_heads, config.hidden_size);
            return Err(refuse("num_attention_heads", message));
        }
        if !divided(config.image_size, config.patch_size) {
            let message = format!("{} does not divide a picture of {}", config.patch_size, config.image_size);
            return Err(refuse("patch_size", message));
        }
        let weights = Weights::open(folder, "model")?;
        let model = Self::from_scope(&weights.root(device), &config)?;
        weights.finish(&["*position_ids", "text_model.*", "text_projection.weight", "logit_scale"])?;
        Ok(model)
    }

    fn from_scope(root: &Scope<'_>, config: &ClipVisionConfig) -> Result<Self> {
        let width = config.hidden_size;
        let sizes = LayerSizes {
            width,
            inner: config.intermediate_size,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
            eps: config.layer_norm_eps,
        };
        let scope = root.enter("vision_model");
        let (embeddings, encoder) = (scope.enter("embeddings"), scope.enter("encoder").enter("layers"));
        let (channels, patch) = (config.num_channels, config.patch_size);
        let positions = 1 + (config.image_size / patch).pow(2);
        let norm = sizes.norm();
        let projection = LinearConfig::new(width, config.projection_dim).with_bias(false);
        Ok(Self {
            class_embedding: embeddings.param("class_embedding", [width])?,
            patches: PatchEmbedding::load_with(
                &embeddings,
                "patch_embedding",
                [channels, patch, width],
                PatchBias::Absent,
            )?,
            positions: layers::embedding(&embeddings, "position_embedding", &EmbeddingConfig::new(positions, width))?,
            // The misspelling is upstream's.
            pre_norm: layers::layer_norm(&scope, "pre_layrnorm", &norm)?,
            layers: (0..config.num_hidden_layers)
                .map(|index| Layer::from_scope(&encoder.enter(index), &sizes))
                .collect::<Result<_>>()?,
            post_norm: layers::layer_norm(&scope, "post_layernorm", &norm)?,
            projection: layers::linear(root, "visual_projection", &projection)?,
            side: config.image_size,
        })
    }

    /// Side in pixels of the pictures it takes.
    pub fn image_size(&self) -> usize {
        self.side
    }

    /// Normalised pixels `[batch, channels, side, side]` to hidden states `[batch, 1 + patches, width]` before the
    /// last norm (upstream `last_hidden_state`).
    ///
    /// # Errors
    /// [`NetsError::Input`] for pictures of another size or other channels.
    pub fn forward(&self, pixels: Tensor<4>) -> Result<Tensor<3>> {
        let [batch, _, height, width] = pixels.dims();
        if [height, width] != [self.side; 2] {
            return Err(NetsError::input(format!("pictures of {width}x{height} pixels, expected {0}x{0}", self.side)));
        }
        let patches = self.patches.forward(pixels)?;
        let class = self.class_embedding.val().unsqueeze::<3>().repeat_dim(0, batch);
        let hidden = Tensor::cat(vec![class, patches], 1) + self.positions.weight.val().unsqueeze::<3>();
        let hidden = self.pre_norm.forward(hidden);
        Ok(self.layers.iter().fold(hidden, |hidden, layer| layer.forward(hidden, Visibility::All)))
    }

    /// The picture's embedding (upstream `image_embeds`), `[batch, projection_dim]`, of its hidden states.
    pub fn embed(&self, hidden: Tensor<3>) -> Tensor<2> {
        let class = hidden.narrow(1, 0, 1).squeeze_dim::<2>(1);
        self.projection.forward(self.post_norm.forward(class))
    }
}
