//! The attention means of one sample, as extractors see them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::ExtractError;

const CROSS: &str = "cross-attention";
const SELF: &str = "self-attention";

/// Attention means of one sample over the same denoising calls, by resolution.
#[derive(Debug, Clone, Default)]
pub struct Attention<'a> {
    classes: usize,
    cross: BTreeMap<u32, Cow<'a, [f32]>>,
    self_attention: BTreeMap<u32, Cow<'a, [f32]>>,
}

impl<'a> Attention<'a> {
    /// No maps yet, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, ..Self::default() }
    }

    /// Classes of the sample.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Adds the cross-attention of a resolution, `[classes, resolution²]`.
    pub fn insert_cross(&mut self, resolution: u32, values: Cow<'a, [f32]>) -> Result<(), ExtractError> {
        check(CROSS, resolution, self.classes * area(resolution), &values)?;
        self.cross.insert(resolution, values);
        Ok(())
    }

    /// Adds the self-attention of a resolution, `[resolution², resolution²]`, row = query, rows sum
    /// to 1.
    pub fn insert_self(&mut self, resolution: u32, values: Cow<'a, [f32]>) -> Result<(), ExtractError> {
        check(SELF, resolution, area(resolution).pow(2), &values)?;
        self.self_attention.insert(resolution, values);
        Ok(())
    }

    /// Cross-attention of a resolution, `[classes, resolution²]`.
    pub fn cross(&self, resolution: u32) -> Result<&[f32], ExtractError> {
        find(CROSS, &self.cross, resolution)
    }

    /// Self-attention of a resolution, `[resolution², resolution²]`.
    pub fn self_attention(&self, resolution: u32) -> Result<&[f32], ExtractError> {
        find(SELF, &self.self_attention, resolution)
    }
}

/// Positions of a square map.
pub(crate) fn area(resolution: u32) -> usize {
    resolution as usize * resolution as usize
}

fn check(kind: &'static str, resolution: u32, expected: usize, values: &[f32]) -> Result<(), ExtractError> {
    if values.len() != expected {
        return Err(ExtractError::Length { kind, resolution, expected, found: values.len() });
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(ExtractError::NotFinite { kind, resolution });
    }
    Ok(())
}

fn find<'m>(
    kind: &'static str,
    maps: &'m BTreeMap<u32, Cow<'_, [f32]>>,
    resolution: u32,
) -> Result<&'m [f32], ExtractError> {
    maps.get(&resolution).map(AsRef::as_ref).ok_or_else(|| ExtractError::MissingMap {
        kind,
        resolution,
        stored: maps.keys().copied().collect(),
    })
}
