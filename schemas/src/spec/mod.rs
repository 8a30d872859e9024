//! The run spec: every concrete value of a run, in one versioned TOML file.
//!
//! A table per stage. What changes a sample stands in that stage's table and is part of its
//! dataset's identity; what only changes speed (batch sizes, prefetch, retries) stands in
//! `[execution]` and is not. A key we do not know is refused with the nearest one we do: a
//! misspelt threshold must not silently become the default.

mod baselines;
mod benchmark;
mod captioner;
pub mod evaluation;
mod execution;
mod generator;
mod identity;
mod images;
mod masks;
mod overrides;
pub mod pictures;
mod precision;
pub mod probe;
mod source;
pub mod trainer;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::SchemaError;

pub use baselines::SHIPPED as BASELINES;
pub use benchmark::BenchmarkSpec;
pub use captioner::{CaptionerSpec, ClassSource, WithoutClass};
pub use evaluation::EvaluationSpec;
pub use execution::{Addressing, ExecutionSpec, StoreSpec};
pub use generator::{ClassPromptMode, GeneratorSpec, ImageFormat, Reliability, SchedulerChoice};
pub use images::{AnnotationFormat, EmptyPictures, ImagesSpec};
pub use masks::{ExtractorChoice, MasksSpec, ThresholdChoice};
pub use overrides::nearest_key;
pub use precision::Precision;
pub use source::{SourceKind, SourceSpec};
pub use trainer::TrainerSpec;

/// The version of the run spec this build reads.
pub const SPEC_VERSION: u32 = 1;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Version of this format.
    pub version: u32,
    /// What the run is called; it names nothing that is stored.
    pub name: String,
    /// The method that is trained: an id of [`BASELINES`] or the path of such a file. What it says
    /// holds where this spec says nothing else.
    #[serde(default)]
    pub method: Option<String>,
    /// The one seed every random number comes from.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Where datasets live.
    #[serde(default)]
    pub store: StoreSpec,
    /// The real images.
    #[serde(default)]
    pub source: SourceSpec,
    /// Images → captions and classes.
    #[serde(default)]
    pub captioner: CaptionerSpec,
    /// Prompts → images and attention means.
    #[serde(default)]
    pub generator: GeneratorSpec,
    /// Attention means → pseudo-masks.
    #[serde(default)]
    pub masks: MasksSpec,
    /// Generations and masks → trained slots.
    #[serde(default)]
    pub trainer: TrainerSpec,
    /// Trained slots → numbers.
    #[serde(default)]
    pub evaluation: EvaluationSpec,
    /// Methods → a table.
    #[serde(default)]
    pub benchmark: BenchmarkSpec,
    /// What changes speed only.
    #[serde(default)]
    pub execution: ExecutionSpec,
    /// Licences for the dataset cards: of the images (`source`) and of the checkpoints (`captioner`,
    /// `generator`). A checkpoint's is otherwise taken from the `license` in its folder's README.md.
    #[serde(default)]
    pub licences: std::collections::BTreeMap<String, String>,
}

const fn default_seed() -> u64 {
    1111
}

impl RunSpec {
    /// Reads a spec from a file.
    ///
    /// # Errors
    /// [`SchemaError::ReadSpec`] and [`SchemaError::InvalidSpec`].
    pub fn load(path: &Path) -> Result<Self, SchemaError> {
        Self::load_with(path, &[])
    }

    /// Reads a spec and applies overrides of the form `masks.low=0.4`.
    ///
    /// # Errors
    /// As [`RunSpec::load`]; an override that is not `table.key=value` is invalid too.
    pub fn load_with(path: &Path, overrides: &[String]) -> Result<Self, SchemaError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| SchemaError::ReadSpec { path: path.to_owned(), source })?;
        Self::parse_with(&text, &path.display().to_string(), overrides)
    }

    /// Parses a spec; `origin` names it in errors.
    ///
    /// # Errors
    /// [`SchemaError::InvalidSpec`].
    pub fn parse(text: &str, origin: &str) -> Result<Self, SchemaError> {
        Self::parse_with(text, origin, &[])
    }

    /// As [`RunSpec::parse`], with values changed by `key=value`.
    ///
    /// # Errors
    /// [`SchemaError::InvalidSpec`]; an assignment that cannot be read.
    pub fn parse_with(text: &str, origin: &str, overrides: &[String]) -> Result<Self, SchemaError> {
        let mut table: toml::Table = toml::from_str(text).map_err(|e| invalid(origin, &e))?;
        baselines::refuse_method(&table, origin)?;
        // The text itself is read first where it can be, so that errors point at its lines.
        if overrides.is_empty() {
            toml::from_str::<Self>(text).map_err(|e| invalid(origin, &e))?;
        }
        for assignment in overrides {
            overrides::apply(&mut table, assignment)?;
        }
        baselines::complete(&mut table, origin)?;
        let spec: Self = table.try_into().map_err(|e| invalid(origin, &e))?;
        spec.check(origin)?;
        Ok(spec)
    }

    fn check(&self, origin: &str) -> Result<(), SchemaError> {
        let refuse = |message: String, hint: &str| {
            Err(SchemaError::InvalidSpec { origin: origin.to_owned(), message, hint: Some(hint.to_owned()) })
        };
        if self.version != SPEC_VERSION {
            return refuse(
                format!("`version` is {}, this build reads {SPEC_VERSION}", self.version),
                "use the release that reads it, or bring the spec up to date",
            );
        }
        let checked = self.generator.check().and_then(|()| self.masks.check());
        let checked = checked.and_then(|()| self.trainer.check()).and_then(|()| self.benchmark.check());
        if let Err((key, message)) = checked {
            return refuse(format!("`{key}` {message}"), "see manifests/runs for working values");
        }
        Ok(())
    }
}

/// A key and what is wrong with its value.
type Fault = (&'static str, String);

fn invalid(origin: &str, error: &toml::de::Error) -> SchemaError {
    SchemaError::InvalidSpec {
        origin: origin.to_owned(),
        message: error.to_string().trim_end().to_owned(),
        hint: overrides::nearest_key(error.message()),
    }
}
