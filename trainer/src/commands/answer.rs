//! What a command prints: text for people, or JSON.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use glass_dataset::Store;
use glass_stage::WholeFile;
use serde::Serialize;

use super::judge::explained;
use crate::eval::EvalError;

/// `--json`, which every command has.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct JsonArgs {
    /// Print JSON and nothing else; with a FILE, write it there and print the text
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    pub json: Option<PathBuf>,
}

impl JsonArgs {
    /// Prints what a command leaves, a run or a folder: its name, or with JSON `{what: name}`.
    ///
    /// # Errors
    /// As [`JsonArgs::answer`].
    pub(super) fn name(&self, what: &str, name: impl std::fmt::Display) -> anyhow::Result<()> {
        let name = name.to_string();
        self.answer(&serde_json::json!({ what: name }), &format!("{name}\n")).or_else(explained)
    }

    /// Prints the text, or the document as `--json` wants it.
    ///
    /// # Errors
    /// Where the file or standard output cannot be written to.
    pub(super) fn answer(&self, document: &impl Serialize, text: &str) -> Result<(), EvalError> {
        let Some(path) = &self.json else { return print(text) };
        let json = serde_json::to_string_pretty(document).map_err(|error| EvalError::Table(error.into()))? + "\n";
        if path == Path::new("-") {
            return print(&json);
        }
        WholeFile::write(path, json).map_err(EvalError::Unfinished)?;
        print(text)
    }
}

/// Prints text; a reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<(), EvalError> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(EvalError::write(Path::new("standard output"))(error))
        }
        _ => Ok(()),
    }
}

/// The answer of a command that scores slots of a run.
#[derive(Serialize)]
pub(super) struct Scored {
    /// Where the numbers are, below the store.
    pub(super) folder: String,
    /// Its `results.json`.
    pub(super) results: serde_json::Value,
}

/// The numbers in a folder of the store.
pub(super) async fn results_of(store: &Store, folder: &str) -> anyhow::Result<serde_json::Value> {
    let key = format!("{folder}/results.json");
    let bytes = store.get(&key).await?;
    serde_json::from_slice(&bytes).with_context(|| format!("cannot read `{key}`"))
}
