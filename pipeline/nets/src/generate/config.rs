//! The tokens that a checkpoint's configuration names.

use std::path::Path;

use serde::Deserialize;

use crate::error::Result;

/// One token or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// One token.
    One(u32),
    /// Any of these.
    Any(Vec<u32>),
}

impl TokenIds {
    /// The tokens.
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Any(ids) => ids,
        }
    }
}

/// The part of `generation_config.json` that decides where a caption ends.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct GenerationConfig {
    pub eos_token_id: Option<TokenIds>,
}

impl GenerationConfig {
    /// Reads `generation_config.json`, if the folder has one.
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        crate::config::read_or_default(folder.join("generation_config.json"))
    }
}
