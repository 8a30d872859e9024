use thiserror::Error;

/// What can be wrong with the input of a metric.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum MetricsError {
    /// A buffer whose length is not what its stated size asks for.
    #[error("`{what}` has {found} values, its size {width}×{height} asks for {expected}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Stated width in pixels.
        width: usize,
        /// Stated height in pixels.
        height: usize,
        /// Values that the size asks for.
        expected: usize,
        /// Values that are there.
        found: usize,
    },
    /// Two maps that should cover the same pixels do not.
    #[error("`{what}` is {found:?} pixels, expected {expected:?}")]
    Size {
        /// Which map.
        what: &'static str,
        /// Width and height it should have.
        expected: (usize, usize),
        /// Width and height it has.
        found: (usize, usize),
    },
    /// A cost of an assignment that is not a number.
    #[error("cost at row {row}, column {column} is not a finite number")]
    Cost {
        /// Row of the matrix.
        row: usize,
        /// Column of the matrix.
        column: usize,
    },
    /// A run-length encoding that does not describe a mask of its size.
    #[error("run-length encoding of a {width}×{height} mask {problem}")]
    Rle {
        /// Stated width in pixels.
        width: usize,
        /// Stated height in pixels.
        height: usize,
        /// What is wrong.
        problem: String,
    },
    /// A polygon that is not a list of coordinate pairs.
    #[error("polygon {problem}")]
    Polygon {
        /// What is wrong.
        problem: &'static str,
    },
    /// A label that collides with the two reserved values.
    #[error("label {label} is reserved, labels go up to {limit}")]
    ReservedLabel {
        /// The label.
        label: u32,
        /// Highest label that can be used.
        limit: u16,
    },
    /// A label beyond the classes of an evaluation.
    #[error("label {label} is no class, classes go from 0 to {}", classes.saturating_sub(1))]
    Class {
        /// The label.
        label: u16,
        /// Classes, background among them.
        classes: usize,
    },
    /// Features that cannot be compared.
    #[error("features {problem}")]
    Features {
        /// What is wrong.
        problem: String,
    },
}
