//! `.npz` statistics of pytorch-fid: `mu` `[dim]` and `sigma` `[dim, dim]`, without a word on where they come from.

use glass_metrics::FeatureStatistics;

use crate::eval::given::archive::Archive;
use crate::eval::given::npy::numbers;

/// How an archive begins.
pub(super) const MAGIC: &[u8] = b"PK";

/// Mean and covariance of an archive's features.
///
/// # Errors
/// What is wrong with it.
pub(super) fn statistics(bytes: Vec<u8>) -> Result<FeatureStatistics, String> {
    let archive = Archive::of_bytes(bytes)?;
    let array = |name: &str| {
        let found = archive.read(name).and_then(|bytes| numbers(&bytes));
        found.map_err(|problem| format!("`{name}` {problem}"))
    };
    let ((shape, mean), (square, covariance)) = (array("mu")?, array("sigma")?);
    let dim = mean.len();
    if shape != [dim] || square != [dim, dim] {
        return Err(format!("have `mu` of {shape:?} and `sigma` of {square:?}, expected [dim] and [dim, dim]"));
    }
    // Their number is not said, and does not matter to a mean and a covariance.
    FeatureStatistics::from_parts(2, mean, &covariance).map_err(|error| error.to_string())
}
