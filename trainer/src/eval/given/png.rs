//! Label maps in PNG files: grey values or palette indices, never colours.

use super::Segments;
use crate::data::annotated::label_values;

/// The segments of a grey (1 to 16 bits) or palette PNG.
pub fn segments(bytes: &[u8]) -> Result<Segments, String> {
    let (width, height, values) = label_values(bytes)?;
    let values: Vec<i64> = values.into_iter().map(i64::from).collect();
    Segments::of_values(width, height, &values)
}
