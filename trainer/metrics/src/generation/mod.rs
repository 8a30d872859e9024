//! How generated pictures are scored, from pixels or from features; networks are the caller's.

mod eigen;
mod frechet;
mod kernel;
mod pixels;

pub use frechet::FeatureStatistics;
pub use kernel::{KernelDistance, kernel_distance, kernel_inception_distance};
pub use pixels::{Planes, psnr, squared_error, ssim};
