//! Flags that all subcommands have.

use glass_schemas::spec::RunSpec;
use glass_stage::{Explain, SpecArgs};

use crate::error::TrainerError;

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
        Err(error) => {
            let (user, hint) = (error.is_user_input(), error.hint());
            let error = match hint {
                Some(hint) => Err::<T, _>(error).hint(hint),
                None => Err(error.into()),
            };
            if user { error.blame_user() } else { error }
        }
        Ok(value) => Ok(value),
    }
}

/// [`explained`] of an error that may be one of the trainer's.
pub(super) fn explained_any<T>(result: anyhow::Result<T>) -> anyhow::Result<T> {
    result.or_else(|error| match error.downcast::<TrainerError>() {
        Ok(error) => explained(Err(error)),
        Err(error) => Err(error),
    })
}
