//! From slots back to what they were made of: features and images. One file a decoder, one socket
//! for each kind ([`FeatureDecoder`], [`ImageDecoder`]).

mod broadcast;
mod diffusion;
mod dropout;
mod features;
mod image;
mod latents;
mod mlp;
mod orders;
mod painter;
mod sampler;
mod transformer;

pub use broadcast::{BroadcastDecoder, BroadcastDecoderConfig, Painted};
pub use diffusion::{Denoised, DiffusionDecoder, UNet};
pub use dropout::StreamDropout;
pub use features::{FeatureDecoder, FeatureDraw, MaskOrders};
pub use image::ImageDecoder;
pub use latents::LatentSpace;
pub use mlp::{Decoded, LAYOUT as MLP_LAYOUT, MlpDecoder, MlpDecoderConfig, TokenChoice};
pub use orders::{TokenOrder, token_orders};
pub use painter::{Painter, Rounding, Sampling};
pub use sampler::{DiffusionPainter, EmptyPrompt, scheduler};
pub use transformer::{LAYOUT as TRANSFORMER_LAYOUT, TransformerDecoder, TransformerDecoderConfig, transformer_names};
