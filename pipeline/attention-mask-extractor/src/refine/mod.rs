//! From attention maps to a label map: pure functions on slices.
//!
//! Maps are `f32`, row by row. Every function reproduces the arithmetic of Dataset Diffusion's
//! published algorithm up to rounding: bicubic interpolation as torch has it, powers of
//! self-attention as repeated products, min-max per class, argmax with an interval of uncertain
//! values.

mod adaptive;
mod bicubic;
mod normalise;
mod propagate;
mod signals;
mod threshold;

pub use adaptive::{Sweep, label_adaptively};
pub use bicubic::{Bicubic, Plane};
pub use normalise::{Spread, mean_over_maxima, min_max};
pub use propagate::propagate;
pub use signals::{area_share, intersection_over_union, normalised_entropy, peak};
pub use threshold::{GROUND, Interval, MAX_CLASS_ID, UNCERTAIN, label_pixels};
