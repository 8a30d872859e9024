//! Flags that all subcommands have.

use std::path::PathBuf;

use glass_dataset::{Store, StoreOptions};
use glass_schemas::spec::RunSpec;
use glass_stage::Explain;

/// Which run spec, changed how, in which store.
#[derive(clap::Args, Clone, Debug)]
pub struct RunOptions {
    /// Run spec (TOML)
    #[arg(long, value_name = "FILE")]
    pub spec: PathBuf,
    /// Change one value of the spec, e.g. `trainer.loss.semantic=0`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where datasets and runs are (path, file://, s3://); overrides the spec's [store]
    #[arg(long, value_name = "URI")]
    pub store: Option<String>,
    /// Seed of weights, order and noise [default: the spec's]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl RunOptions {
    /// The spec with the flags applied.
    ///
    /// # Errors
    /// A spec that cannot be read.
    pub fn spec(&self) -> anyhow::Result<RunSpec> {
        let mut spec = RunSpec::load_with(&self.spec, &self.set).blame_user()?;
        if let Some(uri) = &self.store {
            spec.store.uri.clone_from(uri);
        }
        Ok(spec)
    }

    /// The seed of training: the spec's seed makes data, so that runs of other seeds share it.
    pub fn seed(&self, spec: &RunSpec) -> u64 {
        self.seed.unwrap_or(spec.seed)
    }

    /// The store of the spec.
    ///
    /// # Errors
    /// No store named, or one that cannot be opened.
    pub fn open_store(spec: &RunSpec) -> anyhow::Result<Store> {
        if spec.store.uri.is_empty() {
            return Err(anyhow::anyhow!("no store is named"))
                .blame_user()
                .hint("give --store DIR, or `uri` in the spec's [store]");
        }
        Ok(Store::open(
            &spec.store.uri,
            &StoreOptions::from(&spec.store),
        )?)
    }
}

/// Marks errors that the user has to mend.
pub(super) fn explained<T>(result: crate::Result<T>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_user_input() => Err(error).blame_user(),
        other => Ok(other?),
    }
}
