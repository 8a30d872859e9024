//! Flags that all subcommands have.

use glass_schemas::spec::RunSpec;
use glass_stage::{Explain, SpecArgs};

/// Which run spec, changed how, in which store, with which seed.
#[derive(clap::Args, Clone, Debug)]
pub struct RunOptions {
    /// Spec and store
    #[command(flatten)]
    pub spec: SpecArgs,
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
        Ok(self.spec.load()?)
    }

    /// The seed of training: the spec's seed makes data, so that runs of other seeds share it.
    pub fn seed(&self, spec: &RunSpec) -> u64 {
        self.seed.unwrap_or(spec.seed)
    }
}

/// Marks errors that the user has to mend.
pub(super) fn explained<T>(result: crate::Result<T>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_user_input() => match error.hint() {
            Some(hint) => Err(error).hint(hint).blame_user(),
            None => Err(error).blame_user(),
        },
        other => Ok(other?),
    }
}
