//! From slots back to what they were made of: features and images.

mod broadcast;
mod diffusion;
mod mlp;

pub use broadcast::{BroadcastDecoder, BroadcastDecoderConfig, Painted};
pub use diffusion::{DiffusionDecoder, UNet};
pub use mlp::{Decoded, MlpDecoder, MlpDecoderConfig, TokenChoice};
