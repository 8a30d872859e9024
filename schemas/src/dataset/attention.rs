//! `attention`: the attention means of one generated image.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use super::common::class_list;
use super::{ClassLabel, Row, field, list, structure};
use crate::ids::SampleId;

/// Which attention a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// From positions to the class prompts.
    Cross,
    /// From positions to positions.
    SelfAttention,
}

impl MapKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Cross => "cross",
            Self::SelfAttention => "self",
        }
    }
}

/// Which calls of the network a mean covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Every call.
    All,
    /// Calls 0, 2, 4, …
    Even,
    /// Calls 1, 3, 5, …
    Odd,
}

impl Part {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Even => "even",
            Self::Odd => "odd",
        }
    }
}

/// A mean over calls, layers and heads at one resolution.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMap {
    /// Cross- or self-attention.
    pub kind: MapKind,
    /// Positions along one side.
    pub resolution: u32,
    /// The calls averaged.
    pub part: Part,
    /// How many calls that were.
    pub weight: u32,
    /// Cross: [classes, resolution²]. Self: [resolution², resolution²], every row sums to one.
    pub values: Vec<f32>,
}

/// The attention means of one generated image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionRow {
    /// The generated image.
    pub sample_id: SampleId,
    /// Caption of the real image.
    pub caption: String,
    /// Width of the generated image in pixels.
    pub width: u32,
    /// Height of the generated image in pixels.
    pub height: u32,
    /// The classes, in the order of the cross-attention maps.
    pub classes: Vec<ClassLabel>,
    /// The maps stored. Where even and odd calls are, their union is derived ([`Self::map`]).
    pub maps: Vec<AttentionMap>,
}

impl AttentionRow {
    /// The mean of some calls; the mean of all is derived from even and odd where only they are
    /// stored. `None` if the resolution was not captured.
    pub fn map(&self, kind: MapKind, resolution: u32, part: Part) -> Option<Vec<f32>> {
        let find =
            |part: Part| self.maps.iter().find(|map| (map.kind, map.resolution, map.part) == (kind, resolution, part));
        if let Some(map) = find(part) {
            return Some(map.values.clone());
        }
        if part != Part::All {
            return None;
        }
        let even = find(Part::Even)?;
        let Some(odd) = find(Part::Odd) else {
            return Some(even.values.clone());
        };
        let total = f64::from(even.weight + odd.weight);
        let (even_share, odd_share) = (f64::from(even.weight) / total, f64::from(odd.weight) / total);
        let mean = even.values.iter().zip(&odd.values);
        Some(mean.map(|(&e, &o)| (f64::from(e) * even_share + f64::from(o) * odd_share) as f32).collect())
    }

    /// The resolutions stored for one kind, ascending, each once.
    pub fn resolutions(&self, kind: MapKind) -> Vec<u32> {
        let stored = self.maps.iter().filter(|map| map.kind == kind);
        let mut resolutions: Vec<u32> = stored.map(|map| map.resolution).collect();
        resolutions.sort_unstable();
        resolutions.dedup();
        resolutions
    }
}

impl Row for AttentionRow {
    const KIND: &'static str = "attention";

    fn fields() -> Vec<Field> {
        // 64-bit offsets: a shard of 1,000 samples at 32² has more than 2³¹ values.
        let values = DataType::LargeList(Arc::new(field("element", DataType::Float32)));
        vec![
            field("sample_id", DataType::Utf8),
            field("caption", DataType::Utf8),
            field("width", DataType::UInt32),
            field("height", DataType::UInt32),
            field("classes", class_list()),
            field(
                "maps",
                list(structure(vec![
                    field("kind", DataType::Utf8),
                    field("resolution", DataType::UInt32),
                    field("part", DataType::Utf8),
                    field("weight", DataType::UInt32),
                    field("values", values),
                ])),
            ),
        ]
    }
}

/// An [`AttentionMap`] as it is stored: enumerations as text.
#[derive(Serialize, Deserialize)]
struct StoredMap {
    kind: String,
    resolution: u32,
    part: String,
    weight: u32,
    values: Vec<f32>,
}

impl Serialize for AttentionMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Borrowed<'a> {
            kind: &'a str,
            resolution: u32,
            part: &'a str,
            weight: u32,
            values: &'a [f32],
        }
        Borrowed {
            kind: self.kind.as_str(),
            resolution: self.resolution,
            part: self.part.as_str(),
            weight: self.weight,
            values: &self.values,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AttentionMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let stored = StoredMap::deserialize(deserializer)?;
        let kind = [MapKind::Cross, MapKind::SelfAttention]
            .into_iter()
            .find(|kind| kind.as_str() == stored.kind)
            .ok_or_else(|| D::Error::custom(format!("unknown map kind `{}`", stored.kind)))?;
        let part = [Part::All, Part::Even, Part::Odd]
            .into_iter()
            .find(|part| part.as_str() == stored.part)
            .ok_or_else(|| D::Error::custom(format!("unknown part `{}`", stored.part)))?;
        Ok(Self { kind, resolution: stored.resolution, part, weight: stored.weight, values: stored.values })
    }
}
