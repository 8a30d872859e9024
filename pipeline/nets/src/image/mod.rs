//! From the bytes of a picture to the numbers a network was trained on.
//!
//! Preprocessing is part of a network: the published ones were trained behind Pillow's antialiased
//! resampling, and another filter moves every feature a little. [`resize`] therefore gives Pillow's bytes
//! exactly, and [`ImageProcessor`] follows the checkpoint's `preprocessor_config.json`.

mod decode;
mod geometry;
mod processor;
mod resize;

pub use decode::{DecodeLimits, decode, decode_within};
pub use geometry::{center_crop, resize_bilinear_half_pixel};
pub use image::RgbImage;
pub use processor::{ImageProcessor, Resize};
pub use resize::{Filter, resize};
