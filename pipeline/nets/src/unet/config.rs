//! `unet/config.json`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::position::PositionType;
use crate::config;
use crate::error::{NetsError, Result};

/// A downward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum DownBlockType {
    /// Residual blocks, each followed by a transformer.
    CrossAttnDownBlock2D,
    /// Residual blocks only.
    DownBlock2D,
}

/// An upward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum UpBlockType {
    /// Residual blocks, each followed by a transformer.
    CrossAttnUpBlock2D,
    /// Residual blocks only.
    UpBlock2D,
}

/// The block between down and up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum MidBlockType {
    /// Residual block, transformer, residual block.
    #[default]
    UNetMidBlock2DCrossAttn,
    /// One residual block.
    UNetMidBlock2D,
}

/// One level of resolution, with every value that upstream lets be given once or as a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Channels.
    pub channels: usize,
    /// Residual blocks on the way down; one more on the way up.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Transformer blocks in each transformer.
    pub transformer_layers: usize,
    /// Width of the context.
    pub context: usize,
    /// Compute attention in f32 whatever the weights are in.
    pub upcast_attention: bool,
    /// What is added to the queries of attention.
    pub position: PositionType,
}

/// Upstream `UNet2DConditionModel`'s configuration, with its defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct UNetConfig {
    /// Side of the latent that the checkpoint was trained on, where it says.
    pub sample_size: Option<usize>,
    /// Channels of the latent.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Levels from the finest to the coarsest.
    pub levels: Vec<Level>,
    /// Blocks on the way down, finest first.
    pub down: Vec<DownBlockType>,
    /// The block between.
    pub mid: MidBlockType,
    /// Blocks on the way up, coarsest first.
    pub up: Vec<UpBlockType>,
    /// Map the input from [0, 1] to [−1, 1].
    pub center_input_sample: bool,
    /// Time embedding as (cos, sin) instead of (sin, cos).
    pub flip_sin_to_cos: bool,
    /// Shift of the time embedding's frequencies.
    pub freq_shift: f32,
    /// Width of the time embedding.
    pub time_embedding_dim: usize,
    /// Groups of the group norms.
    pub norm_groups: usize,
    /// ε of the group norms outside transformers.
    pub norm_eps: f64,
    /// Kernel of the first convolution.
    pub conv_in_kernel: usize,
    /// Kernel of the last convolution.
    pub conv_out_kernel: usize,
    /// The share of activations that training drops in every residual block.
    pub dropout: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum PerLevel {
    Same(usize),
    Each(Vec<usize>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Square(usize),
    Sides([usize; 2]),
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct File {
    sample_size: Option<Size>,
    in_channels: usize,
    out_channels: usize,
    center_input_sample: bool,
    flip_sin_to_cos: bool,
    freq_shift: f32,
    down_block_types: Vec<DownBlockType>,
    mid_block_type: MidBlockType,
    up_block_types: Vec<UpBlockType>,
    block_out_channels: Vec<usize>,
    layers_per_block: PerLevel,
    norm_num_groups: usize,
    norm_eps: f64,
    cross_attention_dim: PerLevel,
    transformer_layers_per_block: PerLevel,
    attention_head_dim: PerLevel,
    num_attention_heads: Option<PerLevel>,
    upcast_attention: bool,
    pos_type: PositionType,
    time_embedding_dim: Option<usize>,
    conv_in_kernel: usize,
    conv_out_kernel: usize,
    dropout: f64,
}

impl Default for File {
    fn default() -> Self {
        use DownBlockType::{CrossAttnDownBlock2D, DownBlock2D};
        use UpBlockType::{CrossAttnUpBlock2D, UpBlock2D};
        Self {
            sample_size: None,
            in_channels: 4,
            out_channels: 4,
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: vec![CrossAttnDownBlock2D, CrossAttnDownBlock2D, CrossAttnDownBlock2D, DownBlock2D],
            mid_block_type: MidBlockType::default(),
            up_block_types: vec![UpBlock2D, CrossAttnUpBlock2D, CrossAttnUpBlock2D, CrossAttnUpBlock2D],
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerLevel::Same(2),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: PerLevel::Same(1280),
            transformer_layers_per_block: PerLevel::Same(1),
            attention_head_dim: PerLevel::Same(8),
            num_attention_heads: None,
            upcast_attention: false,
            pos_type: PositionType::None,
            time_embedding_dim: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
            dropout: 0.0,
        }
    }
}

/// Keys that change the computation in a way that is not implemented, with the values that do not.
const REFUSED: &[(&str, &str)] = &[
    ("act_fn", r#""silu" "swish""#),
    ("only_cross_attention", "false"),
    ("mid_block_only_cross_attention", "false"),
    ("dual_cross_attention", "false"),
    ("mid_block_scale_factor", "1 1.0"),
    ("downsample_padding", "1"),
    ("class_embed_type", "null"),
    ("num_class_embeds", "null"),
    ("class_embeddings_concat", "false"),
    ("addition_embed_type", "null"),
    ("encoder_hid_dim", "null"),
    ("encoder_hid_dim_type", "null"),
    ("reverse_transformer_layers_per_block", "null"),
    ("resnet_time_scale_shift", r#""default""#),
    ("resnet_skip_time_act", "false"),
    ("resnet_out_scale_factor", "1 1.0"),
    ("time_embedding_type", r#""positional""#),
    ("time_embedding_act_fn", "null"),
    ("timestep_post_act", "null"),
    ("time_cond_proj_dim", "null"),
    ("cross_attention_norm", "null"),
    ("attention_type", r#""default""#),
];

impl UNetConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// When the file cannot be read, its lists do not fit each other, or it asks for something that is
    /// not implemented: the field is named.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let path = folder.as_ref().join("config.json");
        let all: serde_json::Map<String, Value> = config::read(&path)?;
        let file: File = config::read(&path)?;
        let reader = Reader { path };
        reader.refuse(&all)?;
        reader.finish(file)
    }
}

struct Reader {
    path: PathBuf,
}

impl Reader {
    fn error(&self, field: &str, message: String) -> NetsError {
        NetsError::Config { path: self.path.clone(), field: field.to_owned(), message }
    }

    fn refuse(&self, all: &serde_json::Map<String, Value>) -> Result<()> {
        for (field, allowed) in REFUSED {
            let Some(value) = all.get(*field) else {
                continue;
            };
            let text = value.to_string();
            let is_allowed = |text: &str| allowed.split(' ').any(|allowed| allowed == text);
            let uniform = match value {
                Value::Array(items) => items.iter().all(|item| is_allowed(&item.to_string())),
                _ => is_allowed(&text),
            };
            if !uniform {
                return Err(self.error(field, format!("`{text}` is not implemented, only {allowed} is")));
            }
        }
        Ok(())
    }

    fn per_level(&self, field: &str, value: PerLevel, levels: usize) -> Result<Vec<usize>> {
        let values = match value {
            PerLevel::Same(value) => vec![value; levels],
            PerLevel::Each(values) => values,
        };
        if values.len() != levels {
            let message = format!("{} values for {levels} levels", values.len());
            return Err(self.error(field, message));
        }
        if values.contains(&0) {
            return Err(self.error(field, "must not be zero".to_owned()));
        }
        Ok(values)
    }

    fn levels(&self, file: &File) -> Result<Vec<Level>> {
        let channels = &file.block_out_channels;
        let n = channels.len();
        let layers = self.per_level("layers_per_block", file.layers_per_block.clone(), n)?;
        // Upstream's `attention_head_dim` is the number of heads: a slip of the first release, kept since.
        let (field, heads) = match &file.num_attention_heads {
            Some(heads) => ("num_attention_heads", heads),
            None => ("attention_head_dim", &file.attention_head_dim),
        };
        let heads = self.per_level(field, heads.clone(), n)?;
        let depth = file.transformer_layers_per_block.clone();
        let depth = self.per_level("transformer_layers_per_block", depth, n)?;
        let context = self.per_level("cross_attention_dim", file.cross_attention_dim.clone(), n)?;
        (0..n)
            .map(|i| {
                if !channels[i].is_multiple_of(heads[i]) {
                    return Err(self.error(field, format!("{} heads do not divide {} channels", heads[i], channels[i])));
                }
                if file.norm_num_groups == 0 || !channels[i].is_multiple_of(file.norm_num_groups) {
                    let message = format!("{} groups do not divide {} channels", file.norm_num_groups, channels[i]);
                    return Err(self.error("norm_num_groups", message));
                }
                Ok(Level {
                    channels: channels[i],
                    layers: layers[i],
                    heads: heads[i],
                    transformer_layers: depth[i],
                    context: context[i],
                    upcast_attention: file.upcast_attention,
                    position: file.pos_type,
                })
            })
            .collect()
    }

    fn finish(&self, file: File) -> Result<UNetConfig> {
        let levels = self.levels(&file)?;
        let first = levels.first().ok_or_else(|| self.error("block_out_channels", "is empty".to_owned()))?.channels;
        for (field, n) in
            [("down_block_types", file.down_block_types.len()), ("up_block_types", file.up_block_types.len())]
        {
            if n != levels.len() {
                return Err(self.error(field, format!("{n} blocks for {} levels", levels.len())));
            }
        }
        for (field, kernel) in [("conv_in_kernel", file.conv_in_kernel), ("conv_out_kernel", file.conv_out_kernel)] {
            if kernel.is_multiple_of(2) {
                return Err(self.error(field, format!("{kernel} is not odd")));
            }
        }
        if !(0.0..1.0).contains(&file.dropout) {
            let message = format!("must be at least 0 and below 1, found {}", file.dropout);
            return Err(self.error("dropout", message));
        }
        Ok(UNetConfig {
            sample_size: match file.sample_size {
                Some(Size::Square(side)) => Some(side),
                Some(Size::Sides([height, width])) => (height == width).then_some(height),
                None => None,
            },
            in_channels: file.in_channels,
            out_channels: file.out_channels,
            time_embedding_dim: file.time_embedding_dim.unwrap_or(4 * first),
            levels,
            down: file.down_block_types,
            mid: file.mid_block_type,
            up: file.up_block_types,
            center_input_sample: file.center_input_sample,
            flip_sin_to_cos: file.flip_sin_to_cos,
            freq_shift: file.freq_shift,
            norm_groups: file.norm_num_groups,
            norm_eps: file.norm_eps,
            conv_in_kernel: file.conv_in_kernel,
            conv_out_kernel: file.conv_out_kernel,
            dropout: file.dropout,
        })
    }
}
