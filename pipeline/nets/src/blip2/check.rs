//! What a configuration must fulfil before weights are read.

use std::path::Path;

use super::{Blip2Config, LanguageConfig};
use crate::error::{NetsError, Result};
use crate::t5::{FeedForwardKind, bad_field};

/// The feed-forward layer of a T5.
pub(super) fn check(config: &Blip2Config, path: &Path) -> Result<Option<FeedForwardKind>> {
    let bad = |field: &str, message: String| {
        Err(NetsError::Config { path: path.to_owned(), field: field.to_owned(), message })
    };
    let (vision, qformer) = (&config.vision_config, &config.qformer_config);
    let mut parts = vec![
        ("vision_config", vision.hidden_size, vision.num_attention_heads),
        ("qformer_config", qformer.hidden_size, qformer.num_attention_heads),
    ];
    if let LanguageConfig::Opt(text) = &config.text_config {
        parts.push(("text_config", text.hidden_size, text.num_attention_heads));
    }
    for (part, dim, heads) in parts {
        if heads == 0 || dim % heads != 0 {
            return bad(
                &format!("{part}.num_attention_heads"),
                format!("{dim} channels do not divide into {heads} heads"),
            );
        }
    }
    if vision.patch_size == 0 || vision.image_size % vision.patch_size != 0 {
        return bad(
            "vision_config.patch_size",
            format!("{} pixels do not divide into patches of {}", vision.image_size, vision.patch_size),
        );
    }
    match &config.text_config {
        LanguageConfig::Opt(_) => Ok(None),
        LanguageConfig::T5(text) => text.check().map(Some).map_err(|wrong| bad_field(path, "text_config", wrong)),
    }
}
