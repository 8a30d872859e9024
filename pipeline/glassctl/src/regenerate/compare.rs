//! How far two values of a column are apart.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type};

/// What separates a stored value from the one made again.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(tag = "difference", content = "largest", rename_all = "lowercase")]
pub(super) enum Difference {
    /// Nothing.
    #[serde(rename = "none")]
    Same,
    /// Numbers, at most by this.
    #[serde(rename = "numbers")]
    By(f64),
    /// Pixels, at most by so many of 255 levels.
    Levels(f64),
    /// Something that has no distance.
    Other,
}

impl Difference {
    /// Whether it counts as the same.
    pub(super) fn within(self, tolerance: Tolerance) -> bool {
        match self {
            Self::Same => true,
            Self::By(by) => by <= tolerance.numbers,
            Self::Levels(by) => by <= tolerance.levels,
            Self::Other => false,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Same, other) | (other, Self::Same) => other,
            (Self::By(a), Self::By(b)) => Self::By(a.max(b)),
            (Self::Levels(a), Self::Levels(b)) => Self::Levels(a.max(b)),
            _ => Self::Other,
        }
    }
}

/// What counts as the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerance {
    /// Of numbers.
    pub(super) numbers: f64,
    /// Of pixels, in levels.
    pub(super) levels: f64,
}

impl Tolerance {
    /// A sample made alone shares its products with no other, and sums of another order are rounded
    /// otherwise: 1e-5 was seen in latents, and a level of a pixel that lay between two.
    pub(super) const ROUNDING: Self = Self { numbers: 1e-4, levels: 1.0 };
}

impl From<f64> for Tolerance {
    fn from(both: f64) -> Self {
        Self { numbers: both, levels: both }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same => f.write_str("same"),
            Self::By(by) => write!(f, "differs by {by:.3e}"),
            Self::Levels(by) => write!(f, "differs by {by} of 255"),
            Self::Other => f.write_str("differs"),
        }
    }
}

/// Compares two arrays value by value, through lists and structures.
pub(super) fn difference(a: &ArrayRef, b: &ArrayRef) -> Difference {
    if a == b {
        return Difference::Same;
    }
    if a.len() != b.len() || a.data_type() != b.data_type() {
        return Difference::Other;
    }
    let each = |value: &dyn Fn(usize) -> (ArrayRef, ArrayRef)| {
        (0..a.len()).map(value).fold(Difference::Same, |so_far, (a, b)| so_far.and(difference(&a, &b)))
    };
    match a.data_type() {
        DataType::Float32 => {
            let (a, b) = (a.as_primitive::<Float32Type>(), b.as_primitive::<Float32Type>());
            largest(Difference::By, a.values().iter().zip(b.values()).map(|(a, b)| f64::from((a - b).abs())))
        }
        DataType::List(_) => {
            let (a, b) = (a.as_list::<i32>(), b.as_list::<i32>());
            each(&|row| (a.value(row), b.value(row)))
        }
        DataType::LargeList(_) => {
            let (a, b) = (a.as_list::<i64>(), b.as_list::<i64>());
            each(&|row| (a.value(row), b.value(row)))
        }
        DataType::Struct(_) => {
            let (a, b) = (a.as_struct(), b.as_struct());
            let fields = a.columns().iter().zip(b.columns());
            fields.fold(Difference::Same, |so_far, (a, b)| so_far.and(difference(a, b)))
        }
        // Binary columns hold encoded pictures.
        DataType::Binary => {
            let (a, b) = (a.as_binary::<i32>(), b.as_binary::<i32>());
            let rows = (0..a.len()).map(|row| pixels(a.value(row), b.value(row)));
            rows.fold(Difference::Same, Difference::and)
        }
        _ => Difference::Other,
    }
}

fn pixels(a: &[u8], b: &[u8]) -> Difference {
    let read = |bytes| image::load_from_memory(bytes).map(image::DynamicImage::into_rgb8);
    match (read(a), read(b)) {
        (Ok(a), Ok(b)) if a.dimensions() == b.dimensions() => {
            largest(Difference::Levels, a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))))
        }
        _ => Difference::Other,
    }
}

/// NaN on one side is a difference that no tolerance covers.
fn largest(of: fn(f64) -> Difference, distances: impl Iterator<Item = f64>) -> Difference {
    let mut largest = 0.0;
    for distance in distances {
        if distance.is_nan() {
            return Difference::Other;
        }
        largest = f64::max(largest, distance);
    }
    of(largest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, StringArray};

    use super::*;

    #[test]
    fn numbers_have_a_distance_and_text_has_none() {
        let numbers = |values: &[f32]| Arc::new(Float32Array::from(values.to_vec())) as ArrayRef;
        let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
        assert_eq!(difference(&numbers(&[1.0, 2.0]), &numbers(&[1.0, 2.0])), Difference::Same);
        assert_eq!(difference(&numbers(&[1.0, 2.0]), &numbers(&[1.5, 2.25])), Difference::By(0.5));
        assert_eq!(difference(&numbers(&[1.0]), &numbers(&[f32::NAN])), Difference::Other);
        assert_eq!(difference(&text("a"), &text("b")), Difference::Other);
        assert!(Difference::By(0.5).within(0.5.into()) && !Difference::By(0.5).within(0.4.into()));
        assert!(
            Difference::Levels(1.0).within(Tolerance::ROUNDING) && !Difference::By(1.0).within(Tolerance::ROUNDING)
        );
        assert!(!Difference::Levels(1.0).within(0.0.into()));
    }
}
