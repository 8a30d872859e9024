//! From slots back to what they were made of: features and images.

mod diffusion;
mod mlp;

pub use diffusion::{DiffusionDecoder, UNet};
pub use mlp::{Decoded, MlpDecoder, MlpDecoderConfig, TokenChoice};
