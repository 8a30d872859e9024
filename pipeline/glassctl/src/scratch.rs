//! A folder for what a command makes and throws away.

use std::path::PathBuf;

use anyhow::Context as _;

/// A folder that goes with this process.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// An empty one.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("glass-scratch-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make the folder `{}`", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
