//! How near drawn pictures come to real ones: distances between sets of features, and scores of pairs.
//!
//! Pictures are taken in batch by batch; what stays of them are mean and covariance of their features, a bounded
//! sample of features for the kernel distance, and sums. A distance carries the network that it was measured in: only
//! InceptionV3's is called FID, and no number leaves without the number of pictures it was made of.

mod folder;
mod judge;
mod kernel;
mod networks;
mod numpy;
mod report;
mod statistics;

pub use folder::Folder;
pub use judge::Judge;
pub use networks::{FeatureNetwork, Networks, Settings};
pub use report::{Report, Score};
pub use statistics::Reference;
