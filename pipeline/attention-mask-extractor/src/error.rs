use thiserror::Error;

/// Why no mask can be made of a sample's attention, or under a spec.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum ExtractError {
    /// The dataset has no map of a resolution that the extractor needs.
    #[error("no {kind} of resolution {resolution} is stored, only {stored:?}")]
    MissingMap {
        /// `cross-attention` or `self-attention`.
        kind: &'static str,
        /// Side of the map that is asked for.
        resolution: u32,
        /// Sides that are stored.
        stored: Vec<u32>,
    },
    /// A map whose length is not what its resolution and classes ask for.
    #[error("{kind} of resolution {resolution} has {found} values, expected {expected}")]
    Length {
        /// `cross-attention` or `self-attention`.
        kind: &'static str,
        /// Side of the map.
        resolution: u32,
        /// Values it should have.
        expected: usize,
        /// Values it has.
        found: usize,
    },
    /// A map with a value that is not a number.
    #[error("{kind} of resolution {resolution} has a value that is not finite")]
    NotFinite {
        /// `cross-attention` or `self-attention`.
        kind: &'static str,
        /// Side of the map.
        resolution: u32,
    },
    /// A class id that does not fit into a mask pixel.
    #[error("class id {id} cannot be a mask value, which is 1 to 254")]
    ClassId {
        /// The id.
        id: u32,
    },
    /// A mask of no size.
    #[error("a mask cannot be {width}×{height} pixels")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A mask that could not be written as PNG.
    #[error("the mask cannot be written as PNG: {0}")]
    Png(String),
    /// Settings that no sample can be extracted with.
    #[error("`masks.{field}` {problem}")]
    Settings {
        /// The field of the spec.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
