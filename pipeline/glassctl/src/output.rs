//! What is printed on standard output.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;

/// Prints one JSON document.
pub(crate) fn json(document: &impl Serialize) -> anyhow::Result<()> {
    text(&format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// Prints one JSON document on a line of its own, for output that is streamed.
pub(crate) fn json_line(document: &impl Serialize) -> anyhow::Result<()> {
    text(&format!("{}\n", serde_json::to_string(document)?))
}

/// Prints text; a reader that has seen enough (`| head`) is no error.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
