//! How generated pictures are scored, from pixels or from features; networks are the caller's.

mod eigen;
mod frechet;
mod kernel;
mod perceptual;
mod pixels;
mod sample;

pub use frechet::FeatureStatistics;
pub use kernel::{KernelDistance, Products, kernel_distance, kernel_inception_distance, kernel_of_products, subset};
pub use perceptual::{PerceptualLayer, cosine_score, perceptual_distance};
pub use pixels::{Planes, psnr, squared_error, ssim};
pub use sample::FeatureSample;
