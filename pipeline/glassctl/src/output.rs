//! What is printed on standard output: text, or with `--json` one JSON document and nothing else.

use std::io::{self, Write};

use anyhow::Context;
use serde::Serialize;

/// Prints one JSON document.
pub(crate) fn json(document: &impl Serialize) -> anyhow::Result<()> {
    text(&format!("{}\n", serde_json::to_string_pretty(document)?))
}

/// Prints text; a reader that has seen enough (`| head`) is no error.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    Stdout.write_all(text.as_bytes()).context("cannot write to standard output")
}

/// A JSON array that is written as its entries come, one a line, so that only one is in memory.
/// Nothing is written before the first entry or the end: what fails at once prints nothing.
pub(crate) struct Array<W: Write> {
    to: W,
    is_begun: bool,
}

impl Array<Stdout> {
    /// An array on standard output.
    pub(crate) fn printed() -> Self {
        Self::new(Stdout)
    }

    /// Prints the end and a line break.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        self.end()?;
        text("\n")
    }
}

impl<W: Write> Array<W> {
    /// An array in a file.
    pub(crate) fn new(to: W) -> Self {
        Self { to, is_begun: false }
    }

    /// Writes one more entry.
    pub(crate) fn add(&mut self, entry: &impl Serialize) -> anyhow::Result<()> {
        let before: &str = if self.is_begun { ",\n" } else { "[\n" };
        self.is_begun = true;
        // In one piece: another process may print too.
        self.put(&format!("{before}{}", serde_json::to_string(entry)?))
    }

    /// Writes the end, without a line break after it.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        let end = if self.is_begun { "\n]" } else { "[]" };
        self.put(end)
    }

    fn put(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.to.write_all(text.as_bytes())?)
    }
}

/// Standard output, whose reader may have gone.
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stdout().lock().write_all(bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match io::stdout().lock().flush() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn written(entries: &[u8]) -> String {
        let mut bytes = Vec::new();
        let mut array = Array::new(&mut bytes);
        entries.iter().for_each(|entry| array.add(entry).unwrap());
        array.end().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_array_is_json_whatever_its_length() {
        assert_eq!(written(&[]), "[]");
        assert_eq!(written(&[1]), "[\n1\n]");
        assert_eq!(written(&[1, 2]), "[\n1,\n2\n]");
    }
}
