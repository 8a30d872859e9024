//! Asking whether to write down what a first fetch found.

use std::io::{IsTerminal, Write};

use super::super::lock::{NamedLock, Pins};
use super::online::Fetched;

/// Writes commit and digests into the lock file if it lacks them and the user agrees.
pub(super) fn pin(named: &NamedLock, fetched: &Fetched, yes: bool) -> anyhow::Result<()> {
    let found = fetched.files.clone();
    let Some(pins) = Pins::missing_from(&named.lock, &fetched.commit, found) else {
        return Ok(());
    };
    let path = named.path.display();
    if !yes && !agreed(&pins, &path.to_string())? {
        return Ok(());
    }
    pins.write(&named.path)?;
    tracing::info!(lock = %path, "commit and digests are written");
    Ok(())
}

/// Shows what would be written; asks where somebody can answer.
fn agreed(pins: &Pins, path: &str) -> anyhow::Result<bool> {
    let facts = pins.describe();
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        eprint!("`{path}` does not state what was fetched; --yes would write:\n{facts}");
        return Ok(false);
    }
    eprint!("`{path}` does not state what was fetched:\n{facts}write this into it? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
