//! Identity is computed, never assigned.
//!
//! A sample is named by what it is made of, a dataset by what made it. Two workers that never
//! met give the same thing the same name, and a changed constant gives a new name instead of
//! overwriting an old result.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::SchemaError;

/// SHA-256 of some bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of one slice.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of several parts, each preceded by its length so that no two lists collide.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// [`Digest::of_parts`] of the first part, of the first two, and so on.
    pub fn of_prefixes<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = Self> {
        parts.into_iter().scan(Sha256::new(), |hasher, part| {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
            Some(Self(hasher.clone().finalize().into()))
        })
    }

    /// A digest computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first `digits` hexadecimal digits.
    pub fn short(&self, digits: usize) -> String {
        let mut text = self.to_string();
        text.truncate(digits);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SchemaError::InvalidId {
            value: text.to_owned(),
            expected: "sha256 digest of 64 hexadecimal digits",
        })?;
        Ok(Self(bytes))
    }
}

/// Name of one sample: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleId(u128);

impl SampleId {
    /// The name of a real image: a function of its bytes alone.
    pub fn of_source(source: &Digest) -> Self {
        Self::from_digest(Digest::of_parts([b"source".as_slice(), source.as_bytes()]))
    }

    /// The name of a generated image: H(source digest ‖ prompt ‖ replicate).
    pub fn generated(source: &Digest, prompt: &str, replicate: u32) -> Self {
        Self::from_digest(Digest::of_parts([
            b"generated".as_slice(),
            source.as_bytes(),
            prompt.as_bytes(),
            &replicate.to_le_bytes(),
        ]))
    }

    fn from_digest(digest: Digest) -> Self {
        let mut head = [0; 16];
        head.copy_from_slice(&digest.0[..16]);
        Self(u128::from_be_bytes(head))
    }
}

impl fmt::Display for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SampleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SampleId({self})")
    }
}

impl FromStr for SampleId {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let invalid =
            || SchemaError::InvalidId { value: text.to_owned(), expected: "sample id of 32 hexadecimal digits" };
        if text.len() != 32 {
            return Err(invalid());
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| invalid())
    }
}

/// The kinds of dataset, in the order in which the stages make them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatasetKind {
    /// Captions and classes of real images.
    Captions,
    /// Generated images with their clean latents.
    Generations,
    /// Attention means of the generated images.
    Attention,
    /// Pseudo-masks with quality signals.
    Masks,
}

impl DatasetKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Captions, Self::Generations, Self::Attention, Self::Masks];

    /// The name used in paths and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Captions => "captions",
            Self::Generations => "generations",
            Self::Attention => "attention",
            Self::Masks => "masks",
        }
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DatasetKind {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| SchemaError::InvalidId {
            value: text.to_owned(),
            expected: "kind of dataset (captions, generations, attention, masks)",
        })
    }
}

/// Name of a dataset: its kind and the hash of what made it, e.g. `masks-0123456789abcdef`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetId {
    kind: DatasetKind,
    hash: String,
}

impl DatasetId {
    /// Hexadecimal digits kept of the hash.
    pub const HASH_DIGITS: usize = 16;

    /// The id of a dataset of `kind` whose identity has this digest.
    pub fn new(kind: DatasetKind, identity: &Digest) -> Self {
        Self { kind, hash: identity.short(Self::HASH_DIGITS) }
    }

    /// What the dataset holds.
    pub const fn kind(&self) -> DatasetKind {
        self.kind
    }

    /// The dataset of another kind with the same hash: one pass of the generator writes two.
    pub fn sibling(&self, kind: DatasetKind) -> Self {
        Self { kind, hash: self.hash.clone() }
    }

    /// Where it lives below the store's root: `masks/masks-0123456789abcdef`.
    pub fn path(&self) -> String {
        format!("{}/{self}", self.kind)
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind, self.hash)
    }
}

impl FromStr for DatasetId {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let invalid = || SchemaError::InvalidId {
            value: text.to_owned(),
            expected: "dataset id such as `masks-0123456789abcdef`",
        };
        let (kind, hash) = text.split_once('-').ok_or_else(invalid)?;
        let hexadecimal = hash.bytes().all(|b| b.is_ascii_hexdigit());
        if hash.len() != Self::HASH_DIGITS || !hexadecimal {
            return Err(invalid());
        }
        Ok(Self { kind: kind.parse().map_err(|_| invalid())?, hash: hash.to_owned() })
    }
}

/// Number of a shard within its plan, written with five digits so that names sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardIndex(pub u32);

impl fmt::Display for ShardIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:05}", self.0)
    }
}

impl FromStr for ShardIndex {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        text.parse().map(Self).map_err(|_| SchemaError::InvalidId { value: text.to_owned(), expected: "shard number" })
    }
}

/// Documents carry these types as their text.
macro_rules! serde_as_text {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

serde_as_text!(Digest, SampleId, DatasetKind, DatasetId);
