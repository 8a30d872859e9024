//! Metrics of object discovery, pure functions on label maps, and of generated pictures, on pixels
//! and features.
//!
//! Numbers of different papers disagree less about slots than about protocol: whether background is
//! an object, which of two overlapping annotations wins, what a crowd region is, at which size
//! masks are compared. Here every such choice is a field of a [`Protocol`], so that a number can
//! carry the id of the rules it was made under, and all metrics of a picture come from one
//! [`Contingency`] table counted in one pass. No burn, no I/O.

mod annotations;
mod ari;
mod assignment;
mod boxes;
mod confusion;
mod contingency;
mod error;
mod generation;
mod geometry;
mod label_map;
mod mask;
mod overlap;
mod polygon;
mod protocol;
mod rle;
mod scores;
mod stats;
mod truth;

pub use annotations::{Annotation, RegionKind, Segmentation};
pub use ari::{Points, adjusted_rand_index};
pub use assignment::{Objective, assign};
pub use boxes::{BoxScores, Corners, box_scores};
pub use confusion::Confusion;
pub use contingency::{Contingency, IouMatrix, Objects};
pub use error::MetricsError;
pub use generation::{
    FeatureSample, FeatureStatistics, KernelDistance, PerceptualLayer, Planes, Products, cosine_score, kernel_distance,
    kernel_inception_distance, kernel_of_products, perceptual_distance, psnr, squared_error, ssim, subset,
};
pub use geometry::{Nearest, Placement, PlacementRule, Sampling};
pub use label_map::{BACKGROUND, IGNORE, LabelMap, OVERLAP};
pub use mask::{Bounds, Connectivity, Mask};
pub use overlap::{DISCOVERY_THRESHOLD, OverlapScores, overlap_scores};
pub use polygon::polygon_runs;
pub use protocol::{
    BackgroundRule, Backgrounds, Crowds, EmptyLabels, MaskSource, Overlaps, PaintOrder, Protocol, Resampling,
    TruthLabels, VoidPixels,
};
pub use rle::Rle;
pub use scores::{Headline, ImageScores, METRIC_NAMES, Mean, TruthScores};
pub use stats::{MeanSd, bootstrap_interval, mean_sd};
pub use truth::GroundTruth;
